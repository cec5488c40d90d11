//! One pass that copies text and changes a few characters of it on the way.
//!
//! Nearly all text needs no change, so the pass is a copy first: 64 bytes are stored in the output
//! as they stand, and in the same registers looked at for bytes of interest ([`block`]). Only if
//! there is one are their places made into a bit mask; the output is then taken back to the first of
//! them, what it is written as ([`Form`]) is stored there, and the copy goes on behind it.
//!
//! All stores have a fixed size and may run past what is meant: the output is initialised some way
//! beyond its end, and what lies there is overwritten by what comes next. That is what makes a
//! field of 20 bytes cost four moves and one test, without `unsafe`.
//!
//! Bytes of a character beyond ASCII are never changed one by one: the only ones of interest are
//! the three of U+FFFE and U+FFFF, which go together. So whole text in gives whole text out.

mod block;
mod form;
#[cfg(test)]
pub(crate) mod tests;

use zeroize::Zeroize;

use self::block::{Look, Vector, load};
pub(crate) use self::form::{Attribute, Form, Json, Sanitised, Text};

/// Bytes with room for more: initialised beyond their end, so that blocks can be stored there.
#[derive(Clone, Default)]
pub(crate) struct Scratch {
    bytes: Vec<u8>,
    end: usize,
}

/// Bytes to be appended many times.
#[derive(Clone)]
pub(crate) struct Piece {
    /// The first bytes, filled up with zeros.
    start: [u8; BLOCK],
    bytes: Box<[u8]>,
}

impl Piece {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut start = [0; BLOCK];
        for (place, byte) in start.iter_mut().zip(bytes) {
            *place = *byte;
        }
        Self {
            start,
            bytes: bytes.into(),
        }
    }
}

/// What is stored and looked at together.
const BLOCK: usize = 64;
/// What has to follow a block in the source: a run of bytes is copied in steps of a vector.
const MARGIN: usize = Vector::LANES;
const SOURCE: usize = BLOCK + MARGIN;
/// What a block may become: all of it references, and a step too far.
const WINDOW: usize = BLOCK * form::LONGEST + MARGIN;
/// What is left of a window for a name, behind the opening of its tag.
const TAG: usize = WINDOW - 8;

impl Scratch {
    /// Room for that many bytes before the first growth.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity + WINDOW),
            end: 0,
        }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.end
    }

    /// Writes another byte where one stands.
    #[inline]
    pub(crate) fn replace(&mut self, place: usize, byte: u8) {
        if let Some(place) = self.bytes.get_mut(place) {
            *place = byte;
        }
    }

    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.end);
        self.bytes
    }

    /// Forgets what stands behind so many bytes.
    #[cfg(feature = "arrow")]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.end = self.end.min(len);
    }

    pub(crate) fn clear(&mut self) {
        self.end = 0;
    }

    /// The text, checked once more to be UTF-8.
    pub(crate) fn into_string(mut self) -> String {
        // Blocks that ran past the end have left pieces of text there.
        let behind = self.bytes.len().min(self.end + WINDOW);
        if let Some(behind) = self.bytes.get_mut(self.end..behind) {
            behind.fill(0);
        }
        self.bytes.truncate(self.end);
        // Whole texts have gone in, so nothing but whole text can have come out.
        String::from_utf8(self.bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Leaves that many bytes to be filled in later.
    pub(crate) fn push_blank(&mut self, length: usize) {
        let end = self.end + length;
        if self.bytes.len() < end {
            grow(&mut self.bytes, end);
        }
        self.end = end;
    }

    /// Fills in the first bytes.
    pub(crate) fn fill_in_start(&mut self, bytes: &[u8]) {
        if let Some(start) = self.bytes.get_mut(..bytes.len()) {
            start.copy_from_slice(bytes);
        }
    }

    /// Overwrites all of the memory.
    pub(crate) fn wipe(&mut self) {
        self.bytes.zeroize();
        self.end = 0;
    }

    /// Appends bytes as they stand.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if bytes.len() <= SOURCE {
            let window = window(&mut self.bytes, self.end);
            copy_short::<form::Unchanged, WINDOW>(bytes, window);
            self.end += bytes.len();
        } else {
            self.push_long(bytes);
        }
    }

    /// Appends text in a form; how many characters have changed, if the form counts them.
    #[inline]
    pub(crate) fn push_as<F: Form>(&mut self, text: &str) -> u64 {
        self.push_bytes_as::<F>(text.as_bytes())
    }

    /// The same for bytes that are whole text.
    #[inline]
    pub(crate) fn push_bytes_as<F: Form>(&mut self, bytes: &[u8]) -> u64 {
        if bytes.len() > SOURCE {
            self.push_blocks::<F>(bytes)
        } else {
            self.push_short::<F>(bytes)
        }
    }

    /// Appends the first so many bytes of a longer text; what follows them may be read, but is not
    /// appended.
    #[cfg(feature = "arrow")]
    #[inline(always)]
    pub(crate) fn push_start(&mut self, text: &[u8], len: usize) {
        if let (0..=32, Some(chunk)) = (len, text.first_chunk::<32>()) {
            window(&mut self.bytes, self.end)[..32].copy_from_slice(chunk);
            self.end += len;
        } else {
            self.push(text.get(..len).unwrap_or_default());
        }
    }

    /// Appends bytes that were made ready for it.
    #[inline(always)]
    pub(crate) fn push_piece(&mut self, piece: &Piece) {
        let len = piece.bytes.len();
        if len > BLOCK {
            return self.push_long(&piece.bytes);
        }
        let window = window(&mut self.bytes, self.end);
        if len <= BLOCK / 2 {
            window[..BLOCK / 2].copy_from_slice(&piece.start[..BLOCK / 2]);
        } else {
            window[..BLOCK].copy_from_slice(&piece.start);
        }
        self.end += len;
    }

    /// The memory behind the end, at least a window of it: what is written there counts once it is
    /// [kept](Self::keep).
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        window(&mut self.bytes, self.end);
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes were written to the [room](Self::room).
    #[inline]
    pub(crate) fn keep(&mut self, bytes: usize) {
        self.end = self.bytes.len().min(self.end + bytes);
    }

    #[inline(always)]
    fn push_short<F: Form>(&mut self, bytes: &[u8]) -> u64 {
        let window = window(&mut self.bytes, self.end);
        if copy_short::<F, WINDOW>(bytes, window) {
            self.end += bytes.len();
            return 0;
        }
        self.push_padded::<F>(bytes)
    }

    /// Appends the opening characters of a tag, a name and the closing character.
    #[inline]
    pub(crate) fn push_tag<const N: usize>(&mut self, opening: &[u8; N], name: &str) {
        let name = name.as_bytes();
        let window = window(&mut self.bytes, self.end);
        if let Some((begin, rest)) = window.split_first_chunk_mut()
            && let Some(rest) = rest.first_chunk_mut::<TAG>()
            && name.len() <= SOURCE
        {
            *begin = *opening;
            copy_short::<form::Unchanged, TAG>(name, rest);
            rest[name.len()] = b'>';
            self.end += N + name.len() + 1;
            return;
        }
        self.push(opening);
        self.push(name);
        self.push(b">");
    }

    /// Appends an element with text in a form. Most names and texts are short, and then the place is
    /// found once for all of them.
    #[inline]
    pub(crate) fn push_element<F: Form>(&mut self, name: &str, text: &str) {
        let window = window(&mut self.bytes, self.end);
        match short_element::<F>(name.as_bytes(), text.as_bytes(), window) {
            Some(length) => self.end += length,
            None => {
                self.push_tag(b"<", name);
                self.push_as::<F>(text);
                self.push_tag(b"</", name);
            }
        }
    }

    fn push_long(&mut self, bytes: &[u8]) {
        self.bytes.truncate(self.end);
        self.bytes.extend_from_slice(bytes);
        self.end = self.bytes.len();
    }

    #[inline(never)]
    fn push_blocks<F: Form>(&mut self, bytes: &[u8]) -> u64 {
        let enough = self.end + bytes.len() + WINDOW;
        self.bytes.reserve(enough.saturating_sub(self.bytes.len()));
        let (mut at, mut end, mut changes) = (0, self.end, 0);
        while let Some(source) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let window = window(&mut self.bytes, end);
            let step = copy_block::<F>(source, window);
            at += step.read;
            end += step.written;
            changes += step.changes;
        }
        self.end = end;
        changes + self.push_short::<F>(bytes.get(at..).unwrap_or_default())
    }

    /// What is too short to be read in blocks and has something to change.
    #[cold]
    #[inline(never)]
    fn push_padded<F: Form>(&mut self, bytes: &[u8]) -> u64 {
        let padded = padded(bytes);
        let (mut at, mut changes) = (0, 0);
        while let Some(source) = padded.get(at..).and_then(|rest| rest.first_chunk()) {
            let length = bytes.len().saturating_sub(at);
            if length == 0 {
                break;
            }
            let window = window(&mut self.bytes, self.end);
            let step = copy_start::<F>(source, length, window);
            at += step.read;
            self.end += step.written;
            changes += step.changes;
        }
        changes
    }
}

/// What [`write_between`] needs of the room.
const BETWEEN: usize = BLOCK + 2 * Vector::LANES + 1;

/// Writes a piece, the first so many bytes of a longer text, and a byte if it is wanted, and says how long
/// that is: as one step, because that is what a field of a record is. Nothing, if one of them is too long
/// for that or the text, written in the form, may change, or the room is too small.
#[inline(always)]
pub(crate) fn write_between<F: Form>(
    room: &mut [u8],
    before: &Piece,
    (text, len): (&[u8], usize),
    (behind, is_wanted): (u8, bool),
) -> Option<usize> {
    let room = room.first_chunk_mut::<BETWEEN>()?;
    let text = text.first_chunk::<32>()?;
    let place = before.bytes.len();
    if place > BLOCK || len > text.len() {
        return None;
    }
    let (first, second) = text.split_at(Vector::LANES);
    let doubts = block::places_in_doubt::<F>(Vector::new(array(first)))
        | block::places_in_doubt::<F>(Vector::new(array(second))) << Vector::LANES;
    if doubts & ((1 << len) - 1) != 0 {
        return None;
    }
    if place <= BLOCK / 2 {
        room[..BLOCK / 2].copy_from_slice(&before.start[..BLOCK / 2]);
    } else {
        room[..BLOCK].copy_from_slice(&before.start);
    }
    room[place..place + text.len()].copy_from_slice(text);
    room[place + len] = behind;
    Some(place + len + usize::from(is_wanted))
}

/// The place that the next block is written to.
#[inline(always)]
fn window(bytes: &mut Vec<u8>, end: usize) -> &mut [u8; WINDOW] {
    if bytes.len().saturating_sub(end) < WINDOW {
        grow(bytes, end + WINDOW);
    }
    match bytes.get_mut(end..).and_then(|room| room.first_chunk_mut()) {
        Some(window) => window,
        None => unreachable!("the buffer has just grown"),
    }
}

#[cold]
#[inline(never)]
fn grow(bytes: &mut Vec<u8>, enough: usize) {
    bytes.reserve(enough.saturating_sub(bytes.len()));
    // Not all of the memory at once: what has just been initialised is still in the nearest cache
    // when it is written to.
    const STEP: usize = 16 << 10;
    bytes.resize(enough.max(bytes.capacity().min(enough + STEP)), 0);
}

/// How far a block has been dealt with.
struct Step {
    read: usize,
    written: usize,
    changes: u64,
}

impl Step {
    #[inline(always)]
    fn unchanged(length: usize) -> Self {
        Self {
            read: length,
            written: length,
            changes: 0,
        }
    }
}

/// Up to [`SOURCE`] bytes, and zeros behind them: enough for a block at each of their places.
fn padded(bytes: &[u8]) -> [u8; SOURCE + SOURCE] {
    let mut padded = [0; SOURCE + SOURCE];
    if let Some(start) = padded.get_mut(..bytes.len()) {
        start.copy_from_slice(bytes);
    }
    padded
}

/// Copies up to [`SOURCE`] bytes as they stand; whether that was right, because none had to change.
#[inline(always)]
fn copy_short<F: Form, const N: usize>(bytes: &[u8], window: &mut [u8; N]) -> bool {
    let length = bytes.len();
    if length > 48 {
        let mut look = Look::default();
        let last = length - 16;
        for at in [0, 16, 32, last.min(48), last] {
            look.add::<F>(copy_vector(bytes, window, at));
        }
        look.is_clean()
    } else if length >= 16 {
        // Two or three: a branch that is often mistaken costs more than the third.
        let last = length - 16;
        let mut look = Look::default();
        for at in [0, last.min(16), last] {
            look.add::<F>(copy_vector(bytes, window, at));
        }
        look.is_clean()
    } else if length >= 8 {
        let first = copy_eight(bytes, window, 0);
        let last = copy_eight(bytes, window, length - 8);
        let mut look = Look::default();
        look.add::<F>(Vector::from_halves(first, last));
        look.is_clean()
    } else if length >= 4 {
        let first = copy_four(bytes, window, 0);
        let last = copy_four(bytes, window, length - 4);
        let eight = (u64::from(first) | (u64::from(last) << 32)).to_le_bytes();
        let mut look = Look::default();
        look.add::<F>(Vector::from_halves(eight, eight));
        look.is_clean()
    } else {
        let mut is_clean = true;
        for (from, to) in bytes.iter().zip(window.iter_mut()) {
            *to = *from;
            is_clean &= !F::may_change(*from);
        }
        is_clean
    }
}

/// Writes an element and says how long it is, if name and text are short and the text needs no change.
#[inline(always)]
fn short_element<F: Form>(name: &[u8], text: &[u8], window: &mut [u8; WINDOW]) -> Option<usize> {
    if name.len() > SOURCE || text.len() > SOURCE {
        return None;
    }
    window[0] = b'<';
    copy_short::<form::Unchanged, SOURCE>(name, place(window, 1)?);
    let mut end = 1 + name.len();
    window[end] = b'>';
    end += 1;
    if !copy_short::<F, SOURCE>(text, place(window, end)?) {
        return None;
    }
    end += text.len();
    *place(window, end)? = *b"</";
    end += 2;
    copy_short::<form::Unchanged, SOURCE>(name, place(window, end)?);
    end += name.len();
    window[end] = b'>';
    Some(end + 1)
}

#[inline(always)]
fn place<const N: usize>(window: &mut [u8; WINDOW], at: usize) -> Option<&mut [u8; N]> {
    window.get_mut(at..)?.first_chunk_mut()
}

#[inline(always)]
fn copy_vector<const N: usize>(bytes: &[u8], window: &mut [u8; N], at: usize) -> Vector {
    let chunk: [u8; 16] = array(&bytes[at..at + 16]);
    window[at..at + 16].copy_from_slice(&chunk);
    Vector::new(chunk)
}

#[inline(always)]
fn copy_eight<const N: usize>(bytes: &[u8], window: &mut [u8; N], at: usize) -> [u8; 8] {
    let chunk: [u8; 8] = array(&bytes[at..at + 8]);
    window[at..at + 8].copy_from_slice(&chunk);
    chunk
}

#[inline(always)]
fn copy_four<const N: usize>(bytes: &[u8], window: &mut [u8; N], at: usize) -> u32 {
    let chunk: [u8; 4] = array(&bytes[at..at + 4]);
    window[at..at + 4].copy_from_slice(&chunk);
    u32::from_le_bytes(chunk)
}

#[inline(always)]
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

#[inline(always)]
fn copy_block<F: Form>(source: &[u8; SOURCE], window: &mut [u8; WINDOW]) -> Step {
    let block = load(source);
    let mut look = Look::default();
    for (number, vector) in block.iter().enumerate() {
        window[number * 16..number * 16 + 16].copy_from_slice(&vector.to_array());
        look.add::<F>(*vector);
    }
    if look.is_clean() {
        return Step::unchanged(BLOCK);
    }
    mend::<F>(source, block::places::<F>(&block, source), BLOCK, window)
}

/// Like [`copy_block`] for the first bytes of a block.
fn copy_start<F: Form>(source: &[u8; SOURCE], length: usize, window: &mut [u8; WINDOW]) -> Step {
    let block = load(source);
    for (number, vector) in block.iter().enumerate() {
        window[number * 16..number * 16 + 16].copy_from_slice(&vector.to_array());
    }
    let mut places = block::places::<F>(&block, source);
    if length < BLOCK {
        places &= (1 << length) - 1;
    }
    mend::<F>(source, places, length.min(BLOCK), window)
}

/// Writes what has to change in a block that has been copied, up to the last such place: what comes
/// behind it belongs to the next block.
#[inline(always)]
fn mend<F: Form>(
    source: &[u8; SOURCE],
    mut places: u64,
    length: usize,
    window: &mut [u8; WINDOW],
) -> Step {
    if places == 0 {
        return Step::unchanged(length);
    }
    let changes = if F::COUNTS {
        u64::from(places.count_ones())
    } else {
        0
    };
    let mut place = places.trailing_zeros() as usize;
    let mut written = place;
    loop {
        let byte = source[place];
        let reference = F::WRITTEN[byte as usize];
        window[written..written + 8].copy_from_slice(&reference.to_le_bytes());
        written += form::length(reference);
        let read = place + form::width(byte);
        places &= places - 1;
        if places == 0 {
            return Step {
                read,
                written,
                changes,
            };
        }
        place = places.trailing_zeros() as usize;
        let run = place - read;
        let mut done = 0;
        loop {
            let chunk: [u8; 16] = array(&source[read + done..read + done + 16]);
            window[written + done..written + done + 16].copy_from_slice(&chunk);
            done += 16;
            if done >= run {
                break;
            }
        }
        written += run;
    }
}

/// Where the first character that has to change begins.
#[inline(always)]
pub(crate) fn find<F: Form>(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.len() > SOURCE {
        return find_in_blocks::<F>(bytes);
    }
    if is_short_clean::<F>(bytes) {
        return None;
    }
    find_in_padded::<F>(bytes)
}

#[inline(never)]
fn find_in_blocks<F: Form>(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(source) = bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<SOURCE>())
    {
        let block = load(source);
        let mut look = Look::default();
        block.iter().for_each(|vector| look.add::<F>(*vector));
        if !look.is_clean() {
            let places = block::places::<F>(&block, source);
            if places != 0 {
                return Some(at + places.trailing_zeros() as usize);
            }
        }
        at += BLOCK;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    if is_short_clean::<F>(rest) {
        return None;
    }
    find_in_padded::<F>(rest).map(|found| at + found)
}

#[cold]
#[inline(never)]
fn find_in_padded<F: Form>(bytes: &[u8]) -> Option<usize> {
    let padded = padded(bytes);
    for at in [0, BLOCK] {
        let source = padded.get(at..)?.first_chunk()?;
        let places = block::places::<F>(&load(source), source);
        if places != 0 {
            let place = at + places.trailing_zeros() as usize;
            return (place < bytes.len()).then_some(place);
        }
    }
    None
}

/// Whether none of up to [`SOURCE`] bytes has to change.
#[inline(always)]
fn is_short_clean<F: Form>(bytes: &[u8]) -> bool {
    let length = bytes.len();
    let mut look = Look::default();
    if length > 48 {
        let last = length - 16;
        for at in [0, 16, 32, last.min(48), last] {
            look.add::<F>(Vector::new(array(&bytes[at..at + 16])));
        }
    } else if length >= 16 {
        let last = length - 16;
        for at in [0, last.min(16), last] {
            look.add::<F>(Vector::new(array(&bytes[at..at + 16])));
        }
    } else if length >= 8 {
        let first = array(&bytes[..8]);
        let last = array(&bytes[length - 8..length]);
        look.add::<F>(Vector::from_halves(first, last));
    } else {
        return !bytes.iter().any(|byte| F::may_change(*byte));
    }
    look.is_clean()
}
