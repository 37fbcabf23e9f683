//! The part of Python's pickle that `torch.save` writes, read without executing anything.
//!
//! A pickle is a program for a small stack machine. Here its calls are not made: `GLOBAL` only records a name, and `REDUCE`
//! understands four of them (a tensor, a parameter, an ordered dictionary, a storage by persistent id); a call of another plain
//! data type leaves an opaque value, so that a checkpoint with, say, its training arguments beside the weights still reads.
//! A name that is no data type is refused: such a file was made to do more than hold weights.
//! Opcodes: CPython's Lib/pickletools.py. All values live in one arena: a nest as deep as the file cannot overflow the stack.

use super::{Dtype, names};
use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

/// A tensor as the pickle describes it: a strided view of a storage, in elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorRef {
    pub storage: Storage,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
}

/// A storage: the archive's entry `data/KEY`, with `len` elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    pub key: String,
    pub dtype: Dtype,
    pub len: usize,
}

/// How deep dictionaries may nest around a tensor (`checkpoint["model"]["blocks.0…"]` is two).
const MAX_DEPTH: usize = 8;
/// How many dictionary entries are looked at; a dictionary that holds itself many times over must come to an end.
const MAX_ENTRIES: usize = 1 << 20;
/// Bytes of the names of all tensors and of what is round them; a long key that is named again and again must come to an end.
const MAX_PATHS: usize = 64 << 20;
/// Bytes of the name of a data type or a storage. The memo gives a long text again for two bytes, and each name is kept.
const MAX_NAME: usize = 256;
/// PyTorch's own bound on a tensor's dimensions.
const MAX_DIMENSIONS: usize = 64;

/// What stands on the stack; shared, not copied, so that a memo read a million times costs nothing.
#[derive(Clone, Debug)]
enum Value {
    Mark,
    Int(i64),
    Text(Rc<str>),
    Global(Rc<str>),
    /// Tuples, lists and dictionaries (keys and values in turn), by their index in the arena.
    Sequence(usize),
    Dictionary(usize),
    Storage(Rc<Storage>),
    Tensor(Rc<TensorRef>),
    Opaque,
}

/// Names and descriptions of all tensors in a pickle; dictionaries inside dictionaries join their keys with a dot.
pub(super) fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, TensorRef>, String> {
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), arena: Vec::new(), memo: HashMap::new() };
    let root = machine.run()?;
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), root, 0)];
    let (mut entries, mut paths) = (0, 0);
    while let Some((path, value, depth)) = open.pop() {
        match value {
            Value::Tensor(tensor) => {
                found.insert(path, TensorRef::clone(&tensor));
            }
            Value::Dictionary(index) if depth < MAX_DEPTH => {
                for pair in machine.arena[index].chunks_exact(2) {
                    entries += 1;
                    if entries > MAX_ENTRIES {
                        return Err(format!("more than {MAX_ENTRIES} dictionary entries"));
                    }
                    if let Value::Text(key) = &pair[0] {
                        paths += path.len() + key.len();
                        if paths > MAX_PATHS {
                            return Err(format!("names of more than {MAX_PATHS} bytes"));
                        }
                        let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
                        open.push((path, pair[1].clone(), depth + 1));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    arena: Vec<Vec<Value>>,
    memo: HashMap<usize, Value>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Value, String> {
        loop {
            let start = self.at;
            let opcode = self.take(1)?[0];
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode).map_err(|reason| format!("{reason} (opcode {opcode:#04x} at byte {start})"))?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            0x80 => drop(self.take(1)?), // PROTO
            0x95 => drop(self.take(8)?), // FRAME
            b'(' => self.stack.push(Value::Mark),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?.clone();
                self.stack.push(top);
            }
            // Numbers, flags, nothing.
            b'J' => self.push_int(4)?,
            b'K' => self.push_int(1)?,
            b'M' => self.push_int(2)?,
            0x8a => self.push_long()?,
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Opaque);
            }
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Opaque),
            // Text and bytes, by the width of their length.
            b'X' | b'T' => self.push_text(4)?,
            0x8c | b'U' => self.push_text(1)?,
            0x8d => self.push_text(8)?,
            b'B' => self.skip_bytes(4)?,
            b'C' => self.skip_bytes(1)?,
            0x8e => self.skip_bytes(8)?,
            // Containers.
            b')' | b']' => self.push_sequence(Vec::new()),
            b'}' => self.push_dictionary(),
            b'l' | b't' => {
                let items = self.pop_to_mark()?;
                self.push_sequence(items);
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let items = self.pop_many(count)?;
                self.push_sequence(items);
            }
            b'a' | b's' => {
                let items = self.pop_many(if opcode == b'a' { 1 } else { 2 })?;
                self.extend(items)?;
            }
            b'e' | b'u' => {
                let items = self.pop_to_mark()?;
                self.extend(items)?;
            }
            // The memo.
            b'q' => self.put(1)?,
            b'r' => self.put(4)?,
            0x94 => {
                let top = self.top()?.clone();
                self.memo.insert(self.memo.len(), top);
            }
            b'h' => self.get(1)?,
            b'j' => self.get(4)?,
            // Names and calls: recorded, never made.
            b'c' => {
                let name = format!("{}.{}", self.line()?, self.line()?);
                self.push_global(name)?;
            }
            0x93 => {
                let name = match self.pop_many(2)?.as_slice() {
                    [Value::Text(module), Value::Text(name)] => {
                        check_name(module.len() + name.len())?;
                        format!("{module}.{name}")
                    }
                    _ => return Err("a global's name is no text".into()),
                };
                self.push_global(name)?;
            }
            b'R' | 0x81 => {
                let pair = self.pop_many(2)?;
                self.reduce(&pair[0], &pair[1])?;
            }
            b'b' => drop(self.pop()?), // BUILD: attributes of the object below, which stay unread
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(&id)?;
                self.stack.push(Value::Storage(Rc::new(storage)));
            }
            _ => return Err("torch.save does not write this".into()),
        }
        Ok(())
    }

    fn push_global(&mut self, name: String) -> Result<(), String> {
        check_name(name.len())?;
        if !names::is_data(&name) {
            return Err(format!(
                "it asks for {name}, which is no part of a network's weights; nothing of it was executed. If you trust the \
                 file, save its tensors alone (safetensors, or torch.save of the state dict)"
            ));
        }
        self.stack.push(Value::Global(name.into()));
        Ok(())
    }

    fn reduce(&mut self, callee: &Value, arguments: &Value) -> Result<(), String> {
        let name = if let Value::Global(name) = callee { &**name } else { "" };
        let value = match name {
            "collections.OrderedDict" => {
                self.push_dictionary();
                return Ok(());
            }
            "torch._utils._rebuild_tensor_v2" => self.tensor(arguments)?,
            "torch._utils._rebuild_parameter" => self.items(arguments)?.first().cloned().unwrap_or(Value::Opaque),
            _ => Value::Opaque,
        };
        self.stack.push(value);
        Ok(())
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, …)`.
    fn tensor(&self, arguments: &Value) -> Result<Value, String> {
        let [Value::Storage(storage), Value::Int(offset), shape, stride, ..] = self.items(arguments)? else {
            return Err("a tensor without storage, offset, size and stride".into());
        };
        let offset = usize::try_from(*offset).map_err(|_| "a negative offset")?;
        let (shape, stride) = (self.sizes(shape)?, self.sizes(stride)?);
        Ok(Value::Tensor(Rc::new(TensorRef { storage: Storage::clone(storage), offset, shape, stride })))
    }

    /// Persistent id `("storage", StorageType, key, location, numel)`.
    fn storage(&self, id: &Value) -> Result<Storage, String> {
        let [Value::Text(_), Value::Global(kind), Value::Text(key), _, Value::Int(len), ..] = self.items(id)? else {
            return Err("a persistent id that is no storage".into());
        };
        if key.is_empty() || key.len() > MAX_NAME || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let start: String = key.chars().take(20).collect();
            return Err(format!("storage key {start:?} is not a plain name"));
        }
        let dtype = match &**kind {
            "torch.DoubleStorage" => Dtype::F64,
            "torch.FloatStorage" => Dtype::F32,
            "torch.HalfStorage" => Dtype::F16,
            "torch.BFloat16Storage" => Dtype::Bf16,
            _ => Dtype::Other,
        };
        let len = usize::try_from(*len).map_err(|_| "a storage of negative length")?;
        Ok(Storage { key: key.to_string(), dtype, len })
    }

    fn sizes(&self, value: &Value) -> Result<Vec<usize>, String> {
        let size = |item: &Value| match item {
            Value::Int(size) => usize::try_from(*size).map_err(|_| format!("a size of {size}")),
            _ => Err("a size that is no number".to_owned()),
        };
        let items = self.items(value)?;
        if items.len() > MAX_DIMENSIONS {
            return Err(format!("a tensor of {} dimensions", items.len()));
        }
        items.iter().map(size).collect()
    }

    fn items(&self, value: &Value) -> Result<&[Value], String> {
        match value {
            Value::Sequence(index) => Ok(&self.arena[*index]),
            _ => Err("a tuple is missing".into()),
        }
    }

    fn push_sequence(&mut self, items: Vec<Value>) {
        self.arena.push(items);
        self.stack.push(Value::Sequence(self.arena.len() - 1));
    }

    fn push_dictionary(&mut self) {
        self.arena.push(Vec::new());
        self.stack.push(Value::Dictionary(self.arena.len() - 1));
    }

    /// Adds to the list or dictionary on top; what is added to an opaque value is dropped.
    fn extend(&mut self, items: Vec<Value>) -> Result<(), String> {
        match *self.top()? {
            Value::Dictionary(_) if !items.len().is_multiple_of(2) => Err("a key without a value".into()),
            Value::Sequence(index) | Value::Dictionary(index) => {
                self.arena[index].extend(items);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn push_int(&mut self, width: usize) -> Result<(), String> {
        let raw = self.unsigned(width)?;
        // Only the four-byte form is signed.
        let value = if width == 4 { i64::from(raw as u32 as i32) } else { raw as i64 };
        self.stack.push(Value::Int(value));
        Ok(())
    }

    /// LONG1: little-endian two's complement of up to 255 bytes; what exceeds 64 bits is no size of a tensor.
    fn push_long(&mut self) -> Result<(), String> {
        let width = usize::from(self.take(1)?[0]);
        let bytes = self.take(width)?;
        let value = (width <= 8).then(|| {
            let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
            let mut padded = [fill; 8];
            padded[..width].copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(padded))
        });
        self.stack.push(value.unwrap_or(Value::Opaque));
        Ok(())
    }

    fn push_text(&mut self, width: usize) -> Result<(), String> {
        let len = self.unsigned(width)?;
        let text = String::from_utf8_lossy(self.take(len as usize)?).into();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn skip_bytes(&mut self, width: usize) -> Result<(), String> {
        let len = self.unsigned(width)?;
        self.take(len as usize)?;
        self.stack.push(Value::Opaque);
        Ok(())
    }

    fn put(&mut self, width: usize) -> Result<(), String> {
        let index = self.unsigned(width)? as usize;
        let top = self.top()?.clone();
        self.memo.insert(index, top);
        Ok(())
    }

    fn get(&mut self, width: usize) -> Result<(), String> {
        let index = self.unsigned(width)? as usize;
        let value = self.memo.get(&index).cloned().ok_or_else(|| format!("nothing was kept as {index}"))?;
        self.stack.push(value);
        Ok(())
    }

    fn top(&self) -> Result<&Value, String> {
        self.stack.last().ok_or_else(|| "the stack is empty".into())
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "the stack is empty".into())
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, String> {
        let from = self.stack.len().checked_sub(count).ok_or("the stack is empty")?;
        Ok(self.stack.split_off(from))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark)).ok_or("no mark on the stack")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn unsigned(&mut self, width: usize) -> Result<u64, String> {
        let mut padded = [0u8; 8];
        padded[..width].copy_from_slice(self.take(width)?);
        Ok(u64::from_le_bytes(padded))
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or("a name without an end")?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.at += end + 1;
        Ok(line)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end =
            self.at.checked_add(count).filter(|&end| end <= self.bytes.len()).ok_or("the pickle ends too soon")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }
}

fn check_name(length: usize) -> Result<(), String> {
    if length <= MAX_NAME { Ok(()) } else { Err(format!("a name of {length} bytes, longer than any")) }
}
