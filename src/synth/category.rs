//! SPair-71k's 18 categories, how each is usually seen, and where its objects come from.

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::categories;
use crate::object::Object;
use crate::random::Dice;

/// A category of SPair-71k.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "they are what they are called")]
#[repr(u8)]
pub enum Category {
    Aeroplane,
    Bicycle,
    Bird,
    Boat,
    Bottle,
    Bus,
    Car,
    Cat,
    Chair,
    Cow,
    Dog,
    Horse,
    Motorbike,
    Person,
    PottedPlant,
    Sheep,
    Train,
    TvMonitor,
}

/// How photographers see a category: azimuth in degrees, elevation in radians.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habit {
    /// The usual azimuth.
    pub(crate) azimuth: f32,
    /// How far from it at most.
    pub(crate) spread: f32,
    /// Least and greatest elevation.
    pub(crate) elevation: [f32; 2],
    /// How often it has no ground under it.
    pub(crate) flying: f32,
}

impl Category {
    /// All of them, in the benchmark's order.
    pub const ALL: [Category; 18] = [
        Category::Aeroplane,
        Category::Bicycle,
        Category::Bird,
        Category::Boat,
        Category::Bottle,
        Category::Bus,
        Category::Car,
        Category::Cat,
        Category::Chair,
        Category::Cow,
        Category::Dog,
        Category::Horse,
        Category::Motorbike,
        Category::Person,
        Category::PottedPlant,
        Category::Sheep,
        Category::Train,
        Category::TvMonitor,
    ];

    /// The benchmark's name.
    pub const fn name(self) -> &'static str {
        match self {
            Category::Aeroplane => "aeroplane",
            Category::Bicycle => "bicycle",
            Category::Bird => "bird",
            Category::Boat => "boat",
            Category::Bottle => "bottle",
            Category::Bus => "bus",
            Category::Car => "car",
            Category::Cat => "cat",
            Category::Chair => "chair",
            Category::Cow => "cow",
            Category::Dog => "dog",
            Category::Horse => "horse",
            Category::Motorbike => "motorbike",
            Category::Person => "person",
            Category::PottedPlant => "pottedplant",
            Category::Sheep => "sheep",
            Category::Train => "train",
            Category::TvMonitor => "tvmonitor",
        }
    }

    /// PASCAL VOC's number of the class, the value of its pixels in a mask.
    pub const fn voc_class(self) -> u8 {
        match self {
            // `diningtable` and `sofa` are PASCAL VOC's, not SPair-71k's
            Category::Dog
            | Category::Horse
            | Category::Motorbike
            | Category::Person
            | Category::PottedPlant
            | Category::Sheep => self as u8 + 2,
            Category::Train | Category::TvMonitor => self as u8 + 3,
            _ => self as u8 + 1,
        }
    }

    pub(crate) const fn habit(self) -> Habit {
        let [azimuth, spread, low, high, flying] = match self {
            Category::Aeroplane => [60.0, 180.0, -0.3, 0.45, 0.6],
            Category::Bicycle | Category::Motorbike => [75.0, 180.0, 0.03, 0.4, 0.0],
            Category::Bird => [60.0, 180.0, -0.15, 0.4, 0.6],
            Category::Boat => [60.0, 180.0, 0.04, 0.4, 0.0],
            // a body of revolution is seen from wherever one looks: its left and right are the viewer's
            Category::Bottle => [0.0, 0.0, -0.02, 0.4, 0.15],
            Category::PottedPlant => [0.0, 0.0, 0.05, 0.5, 0.1],
            Category::Bus | Category::Car => [45.0, 180.0, 0.03, 0.35, 0.0],
            Category::Train => [30.0, 100.0, 0.03, 0.35, 0.0],
            Category::Chair => [35.0, 180.0, 0.1, 0.55, 0.0],
            Category::Person => [15.0, 180.0, -0.05, 0.25, 0.1],
            Category::TvMonitor => [0.0, 75.0, -0.1, 0.35, 0.1],
            _ => [50.0, 180.0, 0.02, 0.4, 0.0],
        };
        Habit { azimuth, spread, elevation: [low, high], flying }
    }

    /// An instance of its own proportions, pose and colours.
    pub(crate) fn build(self, dice: &mut Dice) -> Object {
        match self {
            Category::Aeroplane => categories::aeroplane::build(dice),
            Category::Bicycle => categories::bicycle::build(dice),
            Category::Bird => categories::bird::build(dice),
            Category::Boat => categories::boat::build(dice),
            Category::Bottle => categories::bottle::build(dice),
            Category::Bus => categories::bus::build(dice),
            Category::Car => categories::car::build(dice),
            Category::Cat => categories::quadruped::cat(dice),
            Category::Chair => categories::chair::build(dice),
            Category::Cow => categories::quadruped::cow(dice),
            Category::Dog => categories::quadruped::dog(dice),
            Category::Horse => categories::quadruped::horse(dice),
            Category::Motorbike => categories::motorbike::build(dice),
            Category::Person => categories::person::build(dice),
            Category::PottedPlant => categories::pottedplant::build(dice),
            Category::Sheep => categories::quadruped::sheep(dice),
            Category::Train => categories::train::build(dice),
            Category::TvMonitor => categories::tvmonitor::build(dice),
        }
    }
}

pub(crate) fn names() -> String {
    Category::ALL.map(Category::name).join(", ")
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Category {
    type Err = Error;

    fn from_str(text: &str) -> Result<Category, Error> {
        let found = Category::ALL.into_iter().find(|category| category.name() == text);
        found.ok_or_else(|| Error::UnknownCategory { found: text.to_owned() })
    }
}
