//! The opcodes of Python's pickle, protocols 0 to 5, as inert data.
//!
//! A pickle is a program for a stack machine whose calls can reach any Python function.
//! This machine only ever builds [`Object`]s. A call is answered by [`call`], which knows
//! the few constructors that checkpoints need and refuses every other.
//!
//! Format: <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.
//!
//! Memory is bounded by the pickle: an opcode is at least one byte and makes at most one
//! object, objects refer to each other by number, and nothing is copied by a memo lookup.

use std::collections::HashMap;
use std::rc::Rc;

use super::objects::{Heap, Id, Object};
use super::rebuild::call;
use crate::error::Fault;

/// The longest pickle that is read. Pickles hold names and shapes, not weights: a full
/// Stable Diffusion checkpoint with its optimizer state stays below one mebibyte.
pub(crate) const MAX_PICKLE: usize = 16 << 20;

type Result<T> = std::result::Result<T, Fault>;

/// What a pickle described.
pub(crate) struct Unpickled {
    /// Every object that the pickle made.
    pub heap: Heap,
    /// The object it ended with.
    pub root: Id,
    /// How many bytes it took, its STOP included.
    pub length: usize,
}

/// Reads the pickle at the start of `bytes`; more may follow it.
pub(crate) fn read(bytes: &[u8]) -> Result<Unpickled> {
    let input = Input { bytes: &bytes[..bytes.len().min(MAX_PICKLE)], at: 0 };
    let mut machine = Machine {
        input,
        heap: Heap::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    while let Some(opcode) = machine.next_opcode()? {
        machine.step(opcode)?;
    }
    let root = machine.pop()?;
    Ok(Unpickled { heap: machine.heap, root, length: machine.input.at })
}

struct Machine<'a> {
    input: Input<'a>,
    heap: Heap,
    stack: Vec<Id>,
    /// How high the stack was at each open MARK.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl Machine<'_> {
    fn next_opcode(&mut self) -> Result<Option<u8>> {
        let opcode = self.input.byte()?;
        Ok((opcode != b'.').then_some(opcode))
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // PROTO, FRAME: which protocol it is makes no difference to what opcodes mean.
            0x80 => self.protocol(),
            0x95 => self.input.take(8).map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.discard(),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => self.top().map(|top| self.stack.push(top)),
            b'N' => self.push(Object::Other("None")),
            0x88 | 0x89 => self.push(Object::Other("a truth value")),
            b'I' | b'L' | b'J' | b'K' | b'M' | 0x8a | 0x8b | b'F' | b'G' => self.number(opcode),
            b'S' | b'V' | b'T' | b'U' | b'X' | 0x8c | 0x8d => self.text(opcode),
            b'B' | b'C' | 0x8e | 0x96 => self.binary(opcode),
            b')' | b']' | 0x8f => self.push(Object::Sequence(Vec::new())),
            b't' | b'l' | 0x91 => self.sequence_from_mark(),
            0x85..=0x87 => self.sequence_of(usize::from(opcode - 0x84)),
            b'a' => self.pop().and_then(|item| self.append(vec![item])),
            b'e' | 0x90 => self.pop_to_mark().and_then(|items| self.append(items)),
            b'}' => self.push(Object::Dict(Vec::new())),
            b'd' => self.dict_from_mark(),
            b's' => self.pop_many().and_then(|[key, value]| self.set_items(vec![key, value])),
            b'u' => self.pop_to_mark().and_then(|items| self.set_items(items)),
            b'g' | b'h' | b'j' => self.memo_get(opcode),
            b'p' | b'q' | b'r' | 0x94 => self.memo_put(opcode),
            b'c' => self.global().map(|class| self.stack.push(class)),
            0x93 => self.global_from_stack(),
            b'R' | 0x81 => self.pop_many().and_then(|[callee, args]| self.call(callee, args)),
            0x92 => self.pop_many().and_then(|[class, args, _named]| self.call(class, args)),
            b'i' | b'o' => self.call_from_mark(opcode),
            b'b' => self.build(),
            b'P' | b'Q' => self.persistent_id(opcode),
            other => Fault::malformed(format!("its pickle has an unknown opcode 0x{other:02x}")),
        }
    }

    fn protocol(&mut self) -> Result<()> {
        match self.input.byte()? {
            0..=5 => Ok(()),
            newer => Fault::unsupported(format!(
                "its pickle has protocol {newer}, protocols 0 to 5 are known"
            )),
        }
    }

    fn push(&mut self, object: Object) -> Result<()> {
        let id = self.heap.add(object);
        self.stack.push(id);
        Ok(())
    }

    /// The part of the stack above the innermost MARK.
    fn above_mark(&self) -> &[Id] {
        &self.stack[self.marks.last().copied().unwrap_or(0)..]
    }

    fn top(&self) -> Result<Id> {
        self.above_mark().last().copied().ok_or_else(underflow)
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The `N` topmost objects, in the order in which they were pushed.
    fn pop_many<const N: usize>(&mut self) -> Result<[Id; N]> {
        let (_, top) = self.above_mark().split_last_chunk().ok_or_else(underflow)?;
        let top = *top;
        self.stack.truncate(self.stack.len() - N);
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(underflow)?;
        Ok(self.stack.split_off(mark))
    }

    /// POP removes a MARK if there is nothing above it.
    fn discard(&mut self) -> Result<()> {
        if self.above_mark().is_empty() {
            return self.marks.pop().map(drop).ok_or_else(underflow);
        }
        self.pop().map(drop)
    }

    fn number(&mut self, opcode: u8) -> Result<()> {
        let number = match opcode {
            b'I' => integer(self.input.line()?.parse().ok()),
            b'L' => integer(self.input.line()?.trim_end_matches('L').parse().ok()),
            b'J' => Object::Int(i32::from_le_bytes(self.input.array()?).into()),
            b'K' => Object::Int(self.input.byte()?.into()),
            b'M' => Object::Int(u16::from_le_bytes(self.input.array()?).into()),
            0x8a | 0x8b => {
                let length = self.input.length(if opcode == 0x8a { 1 } else { 4 })?;
                integer(twos_complement(self.input.take(length)?))
            }
            b'F' => self.input.line().map(|_| Object::Other("float"))?,
            _ => self.input.take(8).map(|_| Object::Other("float"))?,
        };
        self.push(number)
    }

    fn text(&mut self, opcode: u8) -> Result<()> {
        let text = match opcode {
            // STRING quotes its line, UNICODE does not. Escapes are left as they stand:
            // they do not occur in the names of weights.
            b'S' => self.input.line()?.trim_matches(['\'', '"']),
            b'V' => self.input.line()?,
            _ => {
                let width = match opcode {
                    b'U' | 0x8c => 1,
                    b'T' | b'X' => 4,
                    _ => 8,
                };
                let length = self.input.length(width)?;
                match str::from_utf8(self.input.take(length)?) {
                    Ok(text) => text,
                    // Python 2 kept raw bytes in strings.
                    Err(_) if matches!(opcode, b'T' | b'U') => {
                        return self.push(Object::Other("bytes"));
                    }
                    Err(_) => return Fault::malformed("its pickle has a string that is no UTF-8"),
                }
            }
        };
        let text = Object::Text(Rc::from(text));
        self.push(text)
    }

    fn binary(&mut self, opcode: u8) -> Result<()> {
        let length = self.input.length(match opcode {
            b'C' => 1,
            b'B' => 4,
            _ => 8,
        })?;
        self.input.take(length)?;
        self.push(Object::Other("bytes"))
    }

    fn sequence_from_mark(&mut self) -> Result<()> {
        let items = self.pop_to_mark()?;
        self.push(Object::Sequence(items))
    }

    fn sequence_of(&mut self, count: usize) -> Result<()> {
        let start = self.above_mark().len().checked_sub(count).ok_or_else(underflow)?;
        let items = self.above_mark()[start..].to_vec();
        self.stack.truncate(self.stack.len() - count);
        self.push(Object::Sequence(items))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        match self.heap.get_mut(self.top()?) {
            Object::Sequence(sequence) => sequence.extend(items),
            other => return unexpected("append to", other),
        }
        Ok(())
    }

    fn dict_from_mark(&mut self) -> Result<()> {
        let items = self.pop_to_mark()?;
        self.push(Object::Dict(Vec::new()))?;
        self.set_items(items)
    }

    fn set_items(&mut self, items: Vec<Id>) -> Result<()> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return Fault::malformed("its pickle has a dictionary key without a value");
        };
        match self.heap.get_mut(self.top()?) {
            Object::Dict(dict) => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            other => return unexpected("set items of", other),
        }
        Ok(())
    }

    fn memo_get(&mut self, opcode: u8) -> Result<()> {
        let slot = self.memo_slot(opcode)?;
        let Some(id) = self.memo.get(&slot) else {
            return Fault::malformed(format!("its pickle recalls slot {slot}, which is empty"));
        };
        self.stack.push(*id);
        Ok(())
    }

    fn memo_put(&mut self, opcode: u8) -> Result<()> {
        let slot = match opcode {
            0x94 => self.memo.len(),
            _ => self.memo_slot(opcode)?,
        };
        self.memo.insert(slot, self.top()?);
        Ok(())
    }

    fn memo_slot(&mut self, opcode: u8) -> Result<usize> {
        match opcode {
            b'h' | b'q' => self.input.length(1),
            b'j' | b'r' => self.input.length(4),
            _ => {
                let line = self.input.line()?;
                line.parse()
                    .or_else(|_| Fault::malformed(format!("its pickle has a slot `{line}`")))
            }
        }
    }

    fn global(&mut self) -> Result<Id> {
        let module = Rc::from(self.input.line()?);
        let name = Rc::from(self.input.line()?);
        Ok(self.heap.add(Object::Global(module, name)))
    }

    fn global_from_stack(&mut self) -> Result<()> {
        let [module, name] = self.pop_many()?;
        let (Object::Text(module), Object::Text(name)) =
            (self.heap.get(module), self.heap.get(name))
        else {
            return Fault::malformed("its pickle names a class by something else than text");
        };
        let class = Object::Global(module.clone(), name.clone());
        self.push(class)
    }

    fn call(&mut self, callee: Id, args: Id) -> Result<()> {
        let result = call(&mut self.heap, callee, args)?;
        self.stack.push(result);
        Ok(())
    }

    /// INST names a class on the spot, OBJ has it on the stack; both call it at once.
    fn call_from_mark(&mut self, opcode: u8) -> Result<()> {
        let (class, args) = match opcode {
            b'i' => (self.global()?, self.pop_to_mark()?),
            _ => {
                let mut args = self.pop_to_mark()?;
                if args.is_empty() {
                    return Err(underflow());
                }
                (args.remove(0), args)
            }
        };
        let args = self.heap.add(Object::Sequence(args));
        self.call(class, args)
    }

    /// Hands an object its state, which matters only to modules: an `OrderedDict` keeps
    /// version numbers there, and the values of NumPy are of no interest.
    fn build(&mut self) -> Result<()> {
        let [object, state] = self.pop_many()?;
        match self.heap.get_mut(object) {
            Object::Module(slot) => *slot = Some(state),
            Object::Dict(_) | Object::Other(_) | Object::Unreadable(_) => {}
            other => return unexpected("set the state of", other),
        }
        self.stack.push(object);
        Ok(())
    }

    fn persistent_id(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'Q' => {
                let id = self.pop()?;
                self.push(Object::Persistent(id))
            }
            _ => Fault::unsupported(
                "it was written by a PyTorch from before 0.4; load it with a current one and \
                 save it again",
            ),
        }
    }
}

fn underflow() -> Fault {
    Fault::Malformed("its pickle takes more from the stack than it put there".to_owned())
}

fn unexpected<T>(action: &str, object: &Object) -> Result<T> {
    Fault::malformed(format!("its pickle wants to {action} {}", object.kind()))
}

/// An integer; those beyond 64 bits cannot be a shape, so that their value is of no interest.
fn integer(value: Option<i64>) -> Object {
    value.map_or(Object::Other("int"), Object::Int)
}

/// Decodes a little-endian integer of any length, or `None` if it exceeds 64 bits.
fn twos_complement(bytes: &[u8]) -> Option<i64> {
    let fill = if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
    let mut value = [fill; 8];
    value.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(value))
}

/// The bytes of a pickle, taken from the front with every length checked.
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        match self.bytes[self.at..].get(..length) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None if self.bytes.len() == MAX_PICKLE => Fault::unsupported(format!(
                "its pickle is longer than {MAX_PICKLE} bytes; save the weights alone"
            )),
            None => Fault::malformed("its pickle ends too early, as if the file were truncated"),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A length of `width` bytes. One beyond the address space is beyond the file as well.
    fn length(&mut self, width: usize) -> Result<usize> {
        let mut length = [0; 8];
        length[..width].copy_from_slice(self.take(width)?);
        Ok(usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX))
    }

    /// A line of text, without its end.
    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = self.take(length)?;
        self.take(1)?;
        str::from_utf8(line).or_else(|_| Fault::malformed("its pickle has a line that is no UTF-8"))
    }
}
