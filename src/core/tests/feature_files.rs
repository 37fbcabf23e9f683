#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_core::Error;
use homolog_core::features::{Dtype, FeatureMap, TENSOR};
use homolog_core::geometry::Grid;
use safetensors::SafeTensors;

/// One row of two tokens with three channels.
fn map(data: [f32; 6]) -> FeatureMap<'static> {
    FeatureMap::new(Grid::new(1, 2), 3, data.to_vec()).unwrap()
}

const NUMBERS: [f32; 6] = [0.1, -2.5, f32::MIN_POSITIVE / 8.0, 65504.0, f32::NAN, f32::NEG_INFINITY];

fn bits(data: &[f32]) -> Vec<u8> {
    data.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect()
}

#[test]
fn an_npy_file_is_laid_out_as_numpy_lays_it_out() {
    // what numpy.save writes for numpy.zeros((1, 2, 3), '<f4'), without the numbers
    let mut header =
        b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }".to_vec();
    header.resize(127, b' ');
    header.push(b'\n');
    let file = map(NUMBERS).to_npy(Dtype::F32).unwrap();
    assert_eq!(String::from_utf8_lossy(&file[..128]), String::from_utf8_lossy(&header));
    assert_eq!(file[..128], header);
    assert_eq!(file[128..], bits(&NUMBERS));
    assert_eq!(file, map(NUMBERS).to_npy(Dtype::F32).unwrap());
}

#[test]
fn the_numbers_of_an_npy_file_begin_at_a_multiple_of_64_however_long_the_shape() {
    for width in [1usize, 10, 100, 1000, 10_000, 100_000, 1_000_000] {
        let file = FeatureMap::new(Grid::new(1, width), 1, vec![1.0; width]).unwrap().to_npy(Dtype::F16).unwrap();
        let start = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!((start % 64, file[start - 1], file.len()), (0, b'\n', start + 2 * width));
    }
}

#[test]
fn a_safetensors_file_holds_the_same_numbers_and_its_metadata() {
    let file = map(NUMBERS).to_safetensors(Dtype::F32, "about", "{\"a\": \"\u{e9}\"}").unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    assert_eq!(tensors.len(), 1);
    let view = tensors.tensor(TENSOR).unwrap();
    assert_eq!((view.shape(), view.dtype()), (&[1, 2, 3][..], safetensors::Dtype::F32));
    assert_eq!(view.data(), bits(&NUMBERS));
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["about"], "{\"a\": \"\u{e9}\"}");
}

#[test]
fn half_precision_rounds_to_the_nearest() {
    // 1 + 2⁻¹¹ lies between two halves and goes to the even one, 1; 1 + 3·2⁻¹¹ to 1 + 2⁻⁹
    let file = map([1.0, 1.0 + 0.5f32.powi(11), 1.0 + 3.0 * 0.5f32.powi(11), -65504.0, f32::NAN, f32::INFINITY]);
    let numbers = [0x3c00u16, 0x3c00, 0x3c02, 0xfbff, 0x7e00, 0x7c00].map(u16::to_le_bytes).concat();
    assert_eq!(file.to_npy(Dtype::F16).unwrap()[128..], numbers);
    let file = file.to_safetensors(Dtype::F16, "", "").unwrap();
    assert_eq!(SafeTensors::deserialize(&file).unwrap().tensor(TENSOR).unwrap().data(), numbers);
}

#[test]
fn what_half_precision_cannot_hold_is_refused_and_not_made_infinite() {
    let map = map([0.0, 0.0, -70_000.0, 0.0, 0.0, 0.0]);
    let errors = [map.to_npy(Dtype::F16), map.to_safetensors(Dtype::F16, "", "")].map(Result::unwrap_err);
    for error in errors {
        assert!(matches!(error, Error::NotHalf { value: -70_000.0 }), "{error}");
    }
    map.to_npy(Dtype::F32).unwrap();
    map.normalised().to_npy(Dtype::F16).unwrap();
}

#[test]
fn dtypes_are_written_as_they_are_read() {
    for dtype in [Dtype::F32, Dtype::F16] {
        assert_eq!(dtype.to_string().parse::<Dtype>().unwrap(), dtype);
        assert_eq!(serde_json::to_string(&dtype).unwrap(), format!("\"{dtype}\""));
    }
    assert!("f64".parse::<Dtype>().unwrap_err().to_string().contains("f32, f16"));
}
