//! `homolog-train networks`: the catalogue as a table.

use homolog_backbone::catalog::{NETWORKS, Network, Origin};

/// One line a network, under a line of headings.
pub fn table() -> String {
    let headings =
        ["name", "family", "parameters", "width", "blocks", "patch", "default", "features", "licence", "from"];
    let mut rows = vec![headings.map(str::to_owned)];
    rows.extend(NETWORKS.iter().map(row));
    let mut widths = [0; 10];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 10]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn row(network: &Network) -> [String; 10] {
    let info = network.family.info(network.name);
    let shapes = network.family.original_shapes();
    let parameters: usize = shapes.values().map(|shape| shape.iter().product::<usize>()).sum();
    [
        info.name,
        info.family,
        format!("{:.1} M", parameters as f64 / 1e6),
        info.width.to_string(),
        info.depth.to_string(),
        info.patch.to_string(),
        format!("{0}×{0}", network.resolution),
        // As `--feature` takes it.
        network.feature.to_string().replace('_', "-"),
        network.licence.to_owned(),
        match network.origin {
            Origin::Url { url, .. } => url.to_owned(),
            Origin::Gated { ask } => format!("on request: {}", ask.join(" or ")),
            Origin::None => "homolog-train pretrain".into(),
        },
    ]
}
