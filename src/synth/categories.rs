//! The categories' objects, each put together of parts whose numbers, places and keypoints are the same on every instance.
//!
//! All are about one unit large, with x forward, y up and z to the object's own right.

pub(crate) mod aeroplane;
pub(crate) mod bicycle;
pub(crate) mod bird;
pub(crate) mod boat;
pub(crate) mod bottle;
pub(crate) mod bus;
pub(crate) mod car;
pub(crate) mod chair;
pub(crate) mod motorbike;
pub(crate) mod person;
pub(crate) mod pottedplant;
pub(crate) mod quadruped;
pub(crate) mod train;
pub(crate) mod tvmonitor;
pub(crate) mod wheel;
