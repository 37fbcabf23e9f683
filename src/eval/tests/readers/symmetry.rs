use homolog_eval::symmetry::Symmetry;

/// `right` for `left` and `left` for `right`, word by word.
fn mirrored(name: &str) -> String {
    let swapped = name.replace("left", "\u{0}").replace("right", "left");
    swapped.replace('\u{0}', "right")
}

#[test]
fn mirroring_is_an_involution_and_follows_from_the_names() {
    let tables = Symmetry::spair71k().unwrap();
    assert_eq!(tables.len(), 18);
    let all = tables.into_iter().chain(Symmetry::ap10k().unwrap());
    for (category, table) in all {
        for (index, name) in table.names().iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let id = index.to_string();
            let partner = table.partner(&id);
            let due = table.names().iter().position(|other| mirrored(name) == *other).filter(|other| *other != index);
            assert_eq!(partner.map(str::to_owned), due.map(|other| other.to_string()), "{category}: {name}");
            if let Some(partner) = partner {
                assert_eq!(table.partner(partner), Some(id.as_str()), "{category}: {name}");
            }
        }
    }
}

#[test]
fn groups_are_of_two_and_more_and_share_no_keypoint() {
    for (category, table) in Symmetry::spair71k().unwrap().into_iter().chain(Symmetry::ap10k().unwrap()) {
        let mut members: Vec<&String> = table.groups().iter().flatten().collect();
        assert!(table.groups().iter().all(|group| group.len() >= 2), "{category}");
        let count = members.len();
        members.sort();
        members.dedup();
        assert_eq!(members.len(), count, "{category}");
        assert!(members.iter().all(|id| table.name(id).is_some()), "{category}");
    }
}

#[test]
fn names_and_groups_are_those_of_the_benchmark() {
    let tables = Symmetry::spair71k().unwrap();
    assert_eq!(tables["aeroplane"].name("8"), Some("right wing-tip"));
    assert_eq!(tables["bicycle"].name("13"), Some("chainring"));
    assert_eq!(tables["bicycle"].name("11"), None);
    assert_eq!(tables["car"].partner("10"), Some("20"));
    assert_eq!(tables["car"].partner("4"), None, "a licence plate has no mirror image");
    assert!(tables["car"].groups().contains(&vec!["4".to_owned(), "8".to_owned()]), "front and back look alike");
    let counts: Vec<usize> =
        ["aeroplane", "bus", "motorbike", "tvmonitor"].map(|name| tables[name].groups().len()).into();
    assert_eq!(counts, [9, 8, 2, 4]);
    assert_eq!(Symmetry::ap10k().unwrap()["*"].partner("5"), Some("8"));
}
