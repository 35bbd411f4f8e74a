//! The opcodes of Python's pickle, protocols 0 to 5, as inert data.
//!
//! A pickle is a program for a stack machine whose calls can reach any Python function.
//! This machine only ever builds [`Object`]s. A call is answered by [`call`], which knows
//! the few constructors that checkpoints need and refuses every other.
//!
//! Memory is bounded by the pickle: no byte makes more than one object, objects refer to each
//! other by number, and nothing is copied by a memo lookup.

use std::collections::HashMap;

use super::input::Input;
use super::objects::{Heap, Id, Object};
use super::opcodes as op;
use super::rebuild::call;
use crate::error::Fault;

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
    let mut machine = Machine {
        input: Input::new(bytes),
        heap: Heap::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    while let Some(opcode) = machine.next_opcode()? {
        machine.step(opcode)?;
    }
    let root = machine.pop()?;
    Ok(Unpickled { heap: machine.heap, root, length: machine.input.position() })
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
        Ok((opcode != op::STOP).then_some(opcode))
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            op::PROTO => self.protocol(),
            op::FRAME => self.input.take(8).map(drop),
            op::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::POP => self.discard(),
            op::POP_MARK => self.pop_to_mark().map(drop),
            op::DUP => self.top().map(|top| self.stack.push(top)),
            op::NONE | op::NEWTRUE | op::NEWFALSE => self.push_plain(),
            op::INT | op::LONG => self.integer(opcode),
            op::BININT | op::BININT1 | op::BININT2 => self.integer(opcode),
            op::LONG1 | op::LONG4 => self.integer(opcode),
            op::FLOAT | op::BINFLOAT => self.float(opcode),
            op::STRING | op::BINSTRING | op::SHORT_BINSTRING => self.text(opcode),
            op::UNICODE | op::BINUNICODE => self.text(opcode),
            op::SHORT_BINUNICODE | op::BINUNICODE8 => self.text(opcode),
            op::BINBYTES | op::SHORT_BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => {
                self.bytes(opcode)
            }
            op::EMPTY_TUPLE | op::EMPTY_LIST | op::EMPTY_SET => {
                self.push(Object::Sequence(Vec::new()))
            }
            op::TUPLE | op::LIST | op::FROZENSET => self.sequence_from_mark(),
            op::TUPLE1 => self.sequence_of::<1>(),
            op::TUPLE2 => self.sequence_of::<2>(),
            op::TUPLE3 => self.sequence_of::<3>(),
            op::APPEND => self.pop().and_then(|item| self.append(vec![item])),
            op::APPENDS | op::ADDITEMS => self.pop_to_mark().and_then(|items| self.append(items)),
            op::EMPTY_DICT => self.push(Object::Dict(Vec::new())),
            op::DICT => self.dict_from_mark(),
            op::SETITEM => self.pop_many::<2>().and_then(|pair| self.set_items(&pair)),
            op::SETITEMS => self.pop_to_mark().and_then(|items| self.set_items(&items)),
            op::GET | op::BINGET | op::LONG_BINGET => self.memo_get(opcode),
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.memo_put(opcode),
            op::GLOBAL => self.global().map(|class| self.stack.push(class)),
            op::STACK_GLOBAL => self.global_from_stack(),
            op::REDUCE | op::NEWOBJ => {
                self.pop_many().and_then(|[callee, args]| self.call(callee, args))
            }
            op::NEWOBJ_EX => {
                self.pop_many().and_then(|[class, args, _named]| self.call(class, args))
            }
            op::INST | op::OBJ => self.call_from_mark(opcode),
            op::BUILD => self.build(),
            op::BINPERSID => self.persistent(),
            op::PERSID => Fault::unsupported(
                "it was written by a very old PyTorch; load it with a current one and save it \
                 again",
            ),
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

    fn push_plain(&mut self) -> Result<()> {
        self.stack.push(Heap::PLAIN);
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

    fn integer(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            op::INT => self.input.line()?.parse().ok(),
            op::LONG => self.input.line()?.trim_end_matches('L').parse().ok(),
            op::BININT => Some(i32::from_le_bytes(self.input.array()?).into()),
            op::BININT1 => Some(self.input.byte()?.into()),
            op::BININT2 => Some(u16::from_le_bytes(self.input.array()?).into()),
            op::LONG1 => twos_complement(self.input.prefixed(1)?),
            _ => twos_complement(self.input.prefixed(4)?),
        };
        // Nothing that matters here exceeds 64 bits: no shape, no offset, no position.
        match value {
            Some(value) => self.push(Object::Int(value)),
            None => self.push_plain(),
        }
    }

    fn float(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            op::FLOAT => self.input.line().map(drop)?,
            _ => self.input.take(8).map(drop)?,
        }
        self.push_plain()
    }

    fn text(&mut self, opcode: u8) -> Result<()> {
        let text = match opcode {
            // The first is quoted, and either may have escapes. They are left as they stand:
            // they do not occur in the names of weights.
            op::STRING => self.input.line()?.trim_matches(['\'', '"']),
            op::UNICODE => self.input.line()?,
            op::SHORT_BINUNICODE => self.input.text(1)?,
            op::BINUNICODE => self.input.text(4)?,
            op::BINUNICODE8 => self.input.text(8)?,
            python_2 => {
                let width = if python_2 == op::SHORT_BINSTRING { 1 } else { 4 };
                match str::from_utf8(self.input.prefixed(width)?) {
                    Ok(text) => text,
                    // Python 2 kept raw bytes in strings.
                    Err(_) => return self.push_plain(),
                }
            }
        };
        let text = Object::Text(text.into());
        self.push(text)
    }

    fn bytes(&mut self, opcode: u8) -> Result<()> {
        let width = match opcode {
            op::SHORT_BINBYTES => 1,
            op::BINBYTES => 4,
            _ => 8,
        };
        self.input.prefixed(width)?;
        self.push_plain()
    }

    fn sequence_from_mark(&mut self) -> Result<()> {
        let items = self.pop_to_mark()?;
        self.push(Object::Sequence(items))
    }

    fn sequence_of<const N: usize>(&mut self) -> Result<()> {
        let items = self.pop_many::<N>()?;
        self.push(Object::Sequence(items.to_vec()))
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
        self.set_items(&items)
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
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
            op::MEMOIZE => self.memo.len(),
            _ => self.memo_slot(opcode)?,
        };
        self.memo.insert(slot, self.top()?);
        Ok(())
    }

    fn memo_slot(&mut self, opcode: u8) -> Result<usize> {
        match opcode {
            op::BINGET | op::BINPUT => self.input.unsigned(1),
            op::LONG_BINGET | op::LONG_BINPUT => self.input.unsigned(4),
            _ => {
                let line = self.input.line()?;
                line.parse()
                    .or_else(|_| Fault::malformed(format!("its pickle has a slot `{line}`")))
            }
        }
    }

    fn global(&mut self) -> Result<Id> {
        let module = self.heap.add(Object::Text(self.input.line()?.into()));
        let name = self.heap.add(Object::Text(self.input.line()?.into()));
        Ok(self.heap.add(Object::Global { module, name }))
    }

    fn global_from_stack(&mut self) -> Result<()> {
        let [module, name] = self.pop_many()?;
        if self.heap.text(module).is_none() || self.heap.text(name).is_none() {
            return Fault::malformed("its pickle names a class by something else than text");
        }
        self.push(Object::Global { module, name })
    }

    fn call(&mut self, callee: Id, args: Id) -> Result<()> {
        let result = call(&mut self.heap, callee, args)?;
        self.stack.push(result);
        Ok(())
    }

    /// INST names a class on the spot, OBJ has it on the stack; both call it at once.
    fn call_from_mark(&mut self, opcode: u8) -> Result<()> {
        let (class, args) = match opcode {
            op::INST => (self.global()?, self.pop_to_mark()?),
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
            Object::Module(slot) | Object::Scripted(slot) => *slot = Some(state),
            Object::Dict(_) | Object::Plain | Object::Unreadable(_) => {}
            other => return unexpected("set the state of", other),
        }
        self.stack.push(object);
        Ok(())
    }

    /// A reference to a storage, or in old files `("module", class, path, source)`: the class
    /// of a module along with its program text, of which only the class is of use.
    fn persistent(&mut self) -> Result<()> {
        let reference = self.pop()?;
        if let Some([tag, class, _path, _source]) = self.heap.sequence(reference)
            && self.heap.text(*tag) == Some("module")
        {
            self.stack.push(*class);
            return Ok(());
        }
        self.push(Object::Persistent(reference))
    }
}

fn underflow() -> Fault {
    Fault::Malformed("its pickle takes more from the stack than it put there".to_owned())
}

fn unexpected<T>(action: &str, object: &Object) -> Result<T> {
    Fault::malformed(format!("its pickle wants to {action} {}", object.kind()))
}

/// Decodes a little-endian integer of any length, or `None` if it exceeds 64 bits.
fn twos_complement(bytes: &[u8]) -> Option<i64> {
    let fill = if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
    let mut value = [fill; 8];
    value.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(value))
}
