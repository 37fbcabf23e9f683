use homolog_core::geometry::Size;
use homolog_eval::dataset::ProblemKind;
use homolog_eval::pck::Threshold;
use homolog_eval::readers::{ReadOptions, pf_pascal, pf_willow};

use super::{keypoints, problems, put, put_image, shared, strict};

fn willow_header() -> String {
    let axes =
        ["XA", "YA", "XB", "YB"].map(|axis| (1..=10).map(|n| format!("{axis}{n}")).collect::<Vec<_>>().join(","));
    format!("imageA,imageB,{}\n", axes.join(","))
}

/// A row whose coordinates count up from 1 in each of the four groups, times 1, 2, 3 and 4.
fn willow_row(a: &str, b: &str) -> String {
    let group = |by: u32| (1..=10).map(|n| (n * by).to_string()).collect::<Vec<_>>().join(",");
    format!("{a},{b},{},{},{},{}\n", group(1), group(2), group(3), group(4))
}

#[test]
fn willow_images_are_found_under_every_name_of_their_folder() {
    for on_disk in ["PF-dataset-WILLOW/", "PF-dataset/", ""] {
        let folder = tempfile::tempdir().unwrap();
        put_image(folder.path(), &format!("{on_disk}car(G)/a.png"), 30, 20);
        put_image(folder.path(), &format!("{on_disk}car(G)/b.png"), 50, 60);
        let row = willow_row("PF-dataset/car(G)/a.png", "PF-dataset/car(G)/b.png");
        put(folder.path(), "pairs.csv", willow_header() + &row);
        let dataset = pf_willow::read(folder.path(), &folder.path().join("pairs.csv"), &strict()).unwrap();
        let pair = &dataset.pairs[0];
        assert_eq!((pair.id.as_str(), dataset.categories[0].name.as_str()), ("0001-a-b:car(G)", "car(G)"));
        assert_eq!(keypoints(pair)[0], ("1", (1.0, 2.0), (3.0, 4.0)));
        assert_eq!(keypoints(pair)[9], ("10", (10.0, 20.0), (30.0, 40.0)));
        assert_eq!((dataset.images[1].size, dataset.threshold), (Size::new(50, 60), Threshold::Keypoints));
    }
}

#[test]
fn willow_rows_that_are_wrong_are_named() {
    let folder = tempfile::tempdir().unwrap();
    put_image(folder.path(), "x/a.png", 30, 20);
    let good = willow_row("PF-dataset/x/a.png", "PF-dataset/x/a.png");
    let rows = [
        good.clone(),
        good.replacen(",7,", ",seven,", 1),
        good.trim_end().rsplit_once(',').unwrap().0.to_owned() + "\n",
        good.replace("x/a.png", "x/b.png"),
        good.replacen(",7,", ",nan,", 1),
    ];
    put(folder.path(), "pairs.csv", willow_header() + &rows.concat());
    let dataset = pf_willow::read(folder.path(), &folder.path().join("pairs.csv"), &ReadOptions::default()).unwrap();
    assert_eq!(
        problems(&dataset),
        [
            (ProblemKind::Malformed, Some("line 3, XA7"), true),
            (ProblemKind::Malformed, Some("line 4"), true),
            (ProblemKind::MissingImage, None, true),
            (ProblemKind::Malformed, Some("line 6, XA7"), true),
        ]
    );
    put(folder.path(), "other.csv", "a,b\n1,2\n");
    assert!(pf_willow::read(folder.path(), &folder.path().join("other.csv"), &strict()).is_err());
}

#[test]
fn the_real_willow_list_has_900_pairs_of_100_images_in_10_classes() {
    let Some(folder) = shared("pf-willow") else { return };
    let dataset = pf_willow::read(&folder, &folder.join("pf_willow_pairs.csv"), &strict()).unwrap();
    assert_eq!((dataset.pairs.len(), dataset.images.len(), dataset.categories.len()), (900, 100, 10));
    // the sizes that were taken from the headers by another program
    let truth: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("pf_willow_images.json")).unwrap()).unwrap();
    for image in &dataset.images {
        let category = image.path.parent().unwrap().file_name().unwrap().to_string_lossy();
        let entry = &truth[format!("{category}/{}", image.path.file_stem().unwrap().to_string_lossy())];
        assert_eq!(entry["width"], image.size.width, "{}", image.path.display());
        assert_eq!(entry["height"], image.size.height, "{}", image.path.display());
    }
}

fn pascal(rows: &str, on_disk: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    put_image(folder.path(), &format!("{on_disk}JPEGImages/a.jpg"), 30, 20);
    put_image(folder.path(), &format!("{on_disk}JPEGImages/b.jpg"), 50, 60);
    put(folder.path(), "pairs.csv", format!("source_image,target_image,class,XA,YA,XB,YB\n{rows}"));
    let list = folder.path().join("pairs.csv");
    (folder, list)
}

const A: &str = "PF-dataset-PASCAL/JPEGImages/a.jpg";
const B: &str = "PF-dataset-PASCAL/JPEGImages/b.jpg";

#[test]
fn pascal_joins_coordinates_counts_classes_from_one_and_pads_nothing() {
    for on_disk in ["PF-dataset-PASCAL/", ""] {
        let (folder, list) =
            pascal(&format!("{A},{B},8,1;2;3,4;5;6,7;nan;9,10;11;12\n{B},{A},20,1.5,2,3,4\n"), on_disk);
        let dataset = pf_pascal::read(folder.path(), &list, &strict()).unwrap();
        assert_eq!(keypoints(&dataset.pairs[0]), [("0", (1.0, 4.0), (7.0, 10.0)), ("2", (3.0, 6.0), (9.0, 12.0))]);
        assert_eq!(keypoints(&dataset.pairs[1]), [("0", (1.5, 2.0), (3.0, 4.0))]);
        assert_eq!(dataset.categories.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["cat", "tvmonitor"]);
        assert_eq!((dataset.images[1].size, dataset.threshold), (Size::new(50, 60), Threshold::Image));
    }
}

#[test]
fn pascal_rows_that_are_wrong_are_named() {
    let rows = format!(
        "{A},{B},8,1,2,3,4\n{A},{B},21,1,2,3,4\n{A},{B},0,1,2,3,4\n{A},{B},8,1;2,1;2,1,1;2\n{A},{B},8,1;x,1;2,1;2,1;2\n{A},{B},cat,1,1,1,1\n{A},{B},8,,,,\n"
    );
    let (folder, list) = pascal(&rows, "");
    let dataset = pf_pascal::read(folder.path(), &list, &ReadOptions::default()).unwrap();
    assert_eq!((dataset.listed, dataset.pairs.len()), (7, 1));
    assert_eq!(
        problems(&dataset),
        [
            (ProblemKind::Malformed, Some("line 3, class"), true),
            (ProblemKind::Malformed, Some("line 4, class"), true),
            (ProblemKind::Malformed, Some("line 5, XB"), true),
            (ProblemKind::Malformed, Some("line 6, XA"), true),
            (ProblemKind::Malformed, Some("line 7"), true),
            (ProblemKind::NoCommonKeypoints, None, true),
        ]
    );
}
