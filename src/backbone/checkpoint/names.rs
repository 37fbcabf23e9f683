//! What a pickle may name.

/// Modules whose every name is taken for a data type: checkpoints of honest make mention them beside the tensors.
const MODULES: &[&str] = &["collections.", "torch.", "numpy.", "pathlib.", "datetime.", "omegaconf."];
const NAMES: &[&str] = &["argparse.Namespace", "_codecs.encode"];
const BUILTINS: &[&str] = &[
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "set",
    "slice",
    "str",
    "tuple",
];

/// Whether a name is that of a data type.
pub(super) fn is_data(name: &str) -> bool {
    let builtin = name.strip_prefix("builtins.").or(name.strip_prefix("__builtin__."));
    MODULES.iter().any(|module| name.starts_with(module))
        || NAMES.contains(&name)
        || builtin.is_some_and(|name| BUILTINS.contains(&name))
}
