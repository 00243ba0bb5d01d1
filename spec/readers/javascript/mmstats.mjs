// SPDX-License-Identifier: MIT OR Apache-2.0
// A reader of the mmstats format 3.0, written from FORMAT.md and PROTOCOL.md. Node, no other code.
//
// Node can neither map files nor load shared words atomically: every look is a read() at a
// position, a copy that the system makes of the page that the writer maps. The steps of
// PROTOCOL.md are separate reads in their order, so a value that changed in between is noticed.
// Systems do not tear one read() of 8 aligned bytes, but no documentation promises it.

import fs from "node:fs";

/** The image breaks a rule of FORMAT.md section 10.1. */
export class Refused extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

class Damaged extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** A value, or the room of the fields, changed too often while it was read. */
export class Contended extends Error {}

const MAGIC = Buffer.from([0x89, 0x4d, 0x4d, 0x53, 0x0d, 0x0a, 0x1a, 0x0a]);
const TYPES = ["", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64", "bool", "text", "bytes"];
const SIZES = [0, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1, 1, 1];
const [U32, U64, I8, I64, F32, F64, BOOL, TEXT, BYTES] = [3, 4, 5, 8, 9, 10, 11, 12, 13];
const KINDS = ["", "counter", "gauge", "info", "state", "histogram", "average", "timer", "events", "window", "rate", "timestamp", "activity", "running"];
const [COUNTER, STATE, HISTOGRAM, AVERAGE, TIMER, EVENTS, WINDOW, RATE, TIMESTAMP, ACTIVITY, RUNNING] = [1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
const RULES = ["", "sum", "min", "max", "mean", "each"];
const STORAGES = ["", "constant", "atomic", "latched", "journal", "table"];
const [CONSTANT, ATOMIC, LATCHED, JOURNAL, TABLE] = [1, 2, 3, 4, 5];
const [OPTIONAL, ARRAY, MEMBER] = [1, 2, 4];
const STRINGS = [["label", 0, 255], ["unit", 4, 63], ["help", 8, 4096], ["attributes", 12, 4096], ["detail", 44, 4096]];
const ATTEMPTS = 16;
const ROWS = 32; // where row 0 of a table is
const TOO_LONG = 2000; // milliseconds, PROTOCOL.md section 2.3
const M48 = (1n << 48n) - 1n;
const M64 = (1n << 64n) - 1n;

const up = (n, unit) => Math.ceil(n / unit) * unit;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function text(bytes, code) {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Damaged(code);
  }
}

/** A file, read at positions; bytes past its end are left out. */
class Source {
  constructor(path) {
    const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
    this.fd = fs.openSync(path, flags);
    const status = fs.fstatSync(this.fd);
    if (!status.isFile()) throw new Error(`${path} is not a regular file`);
    this.size = status.size;
  }

  copy(offset, size) {
    const bytes = Buffer.alloc(size);
    let done = 0;
    while (done < size) {
      const got = fs.readSync(this.fd, bytes, done, size - done, offset + done);
      if (got === 0) throw new Error("the file was cut short while it was read");
      done += got;
    }
    return bytes;
  }

  u32(offset) {
    return this.copy(offset, 4).readUInt32LE();
  }
}

/** Fletcher-64 of section 8 over pieces of whole words. */
function fletcher64(...pieces) {
  let [a, b] = [0, 0];
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i += 4) {
      a = (a + piece.readUInt32LE(i)) % 4294967295;
      b = (b + a) % 4294967295;
    }
  }
  return (BigInt(b) << 32n) | BigInt(a);
}

/** What `read` makes of one moment of the descriptions: PROTOCOL.md section 5.2. */
function settled(source, read) {
  if (source.size < 192) return read();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = source.u32(156); // Q1, Q2
    const found = read(); // Q3
    if (source.u32(156) === before) return found; // Q4 to Q6
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // a millisecond, for the writer
  }
  throw new Contended("room of fields was used again during each look");
}

/** An image whose header passed the checks. */
export class Image {
  static open(path) {
    return new Image(new Source(path));
  }

  constructor(source) {
    this.source = source;
    const start = source.copy(0, Math.min(source.size, 8));
    if (!start.equals(MAGIC.subarray(0, start.length))) throw new Refused("bad-magic");
    this.look();
  }

  /** Reads the changing part of the header again, and checks it. */
  look() {
    const { source } = this;
    if (source.size < 192) throw new Refused("too-short");
    const h = source.copy(0, 192);
    const rule = (holds, code) => {
      if (!holds) throw new Refused(code);
    };
    const u16 = (at) => h.readUInt16LE(at);
    const u32 = (at) => h.readUInt32LE(at);
    rule(h.subarray(0, 8).equals(MAGIC), "bad-magic");
    rule(u16(8) === 3, "unsupported-major");
    rule(fletcher64(h.subarray(0, 120)) === h.readBigUInt64LE(120), "header-checksum");
    rule(u16(12) === 0, "unsupported-minor");
    rule(h.readBigUInt64LE(16) === 0n, "required-features");
    const headerSize = u16(14);
    rule(headerSize >= 192 && headerSize % 64 === 0 && headerSize <= source.size, "header-size");
    rule(u32(52) <= source.size, "file-size");
    Object.assign(this, {
      minor: u16(10), instance: h.subarray(32, 48).toString("hex"), part: u32(48),
      descriptorOffset: u32(56), descriptorCapacity: u32(60), descriptorSize: u16(64),
      heapOffset: u32(68), heapSize: u32(72), lanesOffset: u32(76), laneStride: u32(80),
      laneCapacity: u32(84), cellsOffset: u32(88),
    });
    rule(this.descriptorSize >= 64 && this.descriptorSize % 8 === 0, "descriptor-size");
    rule(this.descriptorCapacity <= 16777216 && this.laneCapacity >= 1 && this.laneCapacity <= 65536, "limit");
    const aligned = this.descriptorOffset % 8 === 0 && this.heapOffset % 8 === 0 && this.heapSize % 8 === 0
      && this.lanesOffset % 64 === 0 && this.laneStride % 64 === 0 && this.cellsOffset % 8 === 0;
    rule(aligned, "alignment");
    // All of these are below 2^53, so numbers are exact.
    const descriptorsEnd = this.descriptorOffset + this.descriptorCapacity * this.descriptorSize;
    rule(this.descriptorOffset >= headerSize && this.heapOffset >= descriptorsEnd
      && this.lanesOffset >= this.heapOffset + this.heapSize, "section-order");
    rule(this.lanesOffset + this.laneCapacity * this.laneStride <= u32(52), "section-bounds");
    this.presenceBytes = 8 * Math.ceil(this.descriptorCapacity / 64);
    rule(this.cellsOffset >= 64 + this.presenceBytes && this.cellsOffset <= this.laneStride, "lane-layout");
    this.state = source.u32(128);
    rule(this.state !== 1, "building");
    rule(this.state === 2 || this.state === 3, "bad-state");
    this.fieldCount = source.u32(132);
    this.heapUsed = source.u32(136);
    this.lanesUsed = source.u32(140);
    rule(this.fieldCount <= this.descriptorCapacity, "field-count");
    rule(this.heapUsed <= this.heapSize, "heap-used");
    rule(this.lanesUsed <= this.laneCapacity, "lanes-used");
    this.heap = source.copy(this.heapOffset, this.heapUsed);
    return this;
  }

  inHeap(at, size) {
    return at >= this.heapOffset && at + size <= this.heapOffset + this.heapUsed;
  }

  heapBytes(at, size) {
    return this.heap.subarray(at - this.heapOffset, at - this.heapOffset + size);
  }

  /** All fields; `damage` is the code of the first rule that one breaks. */
  *fields() {
    const state = { cellsEnd: this.cellsOffset, membersEnd: 0, group: null, constants: 0, before: null };
    for (let index = 0; index < this.fieldCount; index++) {
      const field = new Field(this, index);
      try {
        field.check(state);
      } catch (error) {
        if (!(error instanceof Damaged)) throw error;
        field.damage = error.code;
      }
      state.before = field;
      yield field;
    }
  }

  /** Lanes that were claimed, with their presence bits, which come before the values. */
  lanes() {
    return Array.from({ length: this.lanesUsed }, (_, number) => {
      const base = this.lanesOffset + number * this.laneStride;
      return { base, state: this.source.u32(base), presence: this.source.copy(base + 64, this.presenceBytes), slots: new Map() };
    });
  }
}

class Field {
  constructor(image, index) {
    const at = image.descriptorOffset + index * image.descriptorSize;
    const d = image.source.copy(at, 64);
    Object.assign(this, {
      image, index, raw: d, damage: null, type: d[16], kind: d[17], rule: d[18], storage: d[19],
      count: d.readUInt32LE(20), place: d.readUInt32LE(24), slotSize: d.readUInt32LE(28),
      member: d.readUInt32LE(32), slotBits: d[36], level: d[37], flags: d.readUInt16LE(38),
      param: d.readUInt32LE(40), state: d.readUInt32LE(48), text: {},
    });
  }

  get known() { return this.type >= 1 && this.type <= 13; }
  get knownStorage() { return this.storage >= 1 && this.storage <= 5; }
  get isBlob() { return this.type === TEXT || this.type === BYTES; }
  get isArray() { return (this.flags & ARRAY) !== 0; }
  get slots() { return this.slotBits >= 1 && this.slotBits <= 16 ? 2 ** this.slotBits : 0; }

  get rowSize() { return 8 + this.slots * this.slotSize; }

  get valueSize() {
    if (!this.known) return 8;
    return this.isBlob ? 8 + this.count : this.count * SIZES[this.type];
  }

  get goodCount() {
    if (this.isBlob) return this.count >= 1 && this.count <= 1048560;
    if (this.isArray) return this.count >= 1 && this.valueSize <= 1048576;
    return this.count === 1;
  }

  get canHaveRate() {
    return !this.damage && this.kind === COUNTER && this.type === U64 && !this.isArray
      && (this.storage === ATOMIC || this.storage === LATCHED);
  }

  /** The checks of section 10.2, in their order. */
  check(state) {
    const rule = (holds, code) => {
      if (!holds) throw new Damaged(code);
    };
    const { image } = this;
    rule(this.state === 1 || this.state === 2, "field-state");
    const pieces = [this.raw.subarray(0, 48)];
    const found = {};
    for (const [name, at, limit] of STRINGS) {
      const place = this.raw.readUInt32LE(at);
      if (place === 0 && name !== "label") continue;
      rule(place % 4 === 0 && image.inHeap(place, 4), "string-place");
      const length = image.heapBytes(place, 2).readUInt16LE();
      rule(length >= 1 && length <= limit && image.inHeap(place, up(2 + length, 4)), "string-length");
      pieces.push(image.heapBytes(place, up(2 + length, 4)));
      found[name] = image.heapBytes(place + 2, length);
    }
    if (this.storage === CONSTANT) this.constant = this.findConstant(state);
    if (this.storage !== CONSTANT || this.constant) {
      if (this.constant) pieces.push(this.constant);
      rule(fletcher64(...pieces) === this.raw.readBigUInt64LE(56), "field-checksum");
    }
    for (const [name] of STRINGS) this.text[name] = found[name] ? text(found[name], "utf8") : "";
    this.attributes = this.findAttributes();
    this.detail = this.text.detail ? this.text.detail.split("\0") : [];
    rule(!this.known || this.goodCount, "count");
    rule(this.storage !== JOURNAL || (this.count >= 2 && this.count <= 65536), "count");
    const flags = this.flags & 7;
    rule(!(this.isBlob && this.isArray)
      && !(this.storage === CONSTANT && flags & (OPTIONAL | MEMBER))
      && !(this.storage === ATOMIC && (flags & (ARRAY | MEMBER) || this.isBlob))
      && !(this.storage === JOURNAL && (flags !== ARRAY || (this.known && this.type !== U64)))
      && !(this.storage === TABLE && (flags || (this.known && this.type !== TEXT))), "type-storage");
    rule(!this.known || this.kindAllows(), "kind-type");
    rule(this.goodParam(state.before), "kind-param");
    this.checkPlace(state, rule);
  }

  /** A constant's bytes; null where its place or size is not known. */
  findConstant(state) {
    const { image } = this;
    if (!this.known || !this.goodCount || this.place % 8) return null;
    let size = this.valueSize;
    if (this.isBlob) {
      if (!image.inHeap(this.place, 8)) return null;
      size = 8 + Math.min(image.heapBytes(this.place, 4).readUInt32LE(), this.count);
    }
    size = up(size, 8);
    if (!image.inHeap(this.place, size)) return null;
    state.constants += size;
    if (state.constants > 2 * image.heapUsed) throw new Damaged("cell-overlap");
    return image.heapBytes(this.place, size);
  }

  findAttributes() {
    const attributes = new Map();
    if (!this.text.attributes) return attributes;
    for (const item of this.text.attributes.split("\0")) {
      const [, key, value] = /^([A-Za-z0-9_.-]{1,63})=([^]*)$/.exec(item) ?? [];
      if (key === undefined || attributes.has(key)) throw new Damaged("attributes");
      attributes.set(key, value);
    }
    return attributes;
  }

  kindAllows() {
    const { type, isArray, count } = this;
    const wide = type === U64 || type === I64 || type === F64;
    const in_ = (storage) => this.storage === storage || !this.knownStorage;
    if (this.storage === TABLE && this.kind in KINDS && this.kind > 0 && this.kind !== ACTIVITY) return false;
    switch (this.kind) {
      case COUNTER: return type <= U64 || type === F32 || type === F64;
      case STATE: return type <= U32 && !isArray && this.storage !== JOURNAL;
      case HISTOGRAM: return type === U64 && isArray && count >= 3 && in_(JOURNAL);
      case AVERAGE: return wide && isArray && count === 2 && this.storage !== JOURNAL;
      case TIMER: return type === U64 && isArray && count === 5 && this.storage !== JOURNAL;
      case EVENTS: return type === TEXT && in_(LATCHED);
      case WINDOW: return wide && !isArray && in_(LATCHED);
      case RATE: return type === U64 && isArray && count === 2 && in_(LATCHED);
      case TIMESTAMP: return (type === U64 || type === I64) && !isArray && this.storage !== JOURNAL;
      case RUNNING: return type === U64 && !isArray && this.storage !== JOURNAL;
      case ACTIVITY: return type === TEXT && in_(TABLE);
      default: return true;
    }
  }

  goodParam(before) {
    if (this.kind === ACTIVITY || this.storage === TABLE) return this.member === 16 && this.param >= 1 && this.param <= 64;
    const lengths = this.detail.map((item) => Buffer.byteLength(item));
    switch (this.kind) {
      case STATE: return lengths.length >= 1 && lengths.length <= 1024 && lengths.every((n) => n >= 1 && n <= 63);
      case HISTOGRAM: {
        const [scale, values] = [(this.param << 24) >> 24, (this.param >>> 8) & 255];
        return scale >= -4 && scale <= 8 && (values === U64 || values === F64) && this.slotSize >= 40 && this.count >= 3;
      }
      case EVENTS: return this.member === 8;
      case WINDOW: return this.param >= 1 && this.param <= this.slots - 2;
      case RATE: return Boolean(before?.canHaveRate) && this.param >= 1 && lengths.length >= 1 && lengths.length <= 8
        && this.detail.every((item) => /^[0-9]{1,6}$/.test(item) && Number(item) > 0);
      default: return true;
    }
  }

  /** The rules from slots to cell-overlap. */
  checkPlace(state, rule) {
    if (!this.knownStorage) return; // as if it was not there: a group continues after it
    const { image, slots } = this;
    const hasSlots = this.storage >= LATCHED;
    if (hasSlots) {
      const least = this.storage === JOURNAL ? 16 : 8;
      rule(slots && this.slotSize % 8 === 0 && this.slotSize >= least && this.slotSize <= 1048576, "slots");
    } else {
      rule(this.slotBits === 0 && this.slotSize === 0, "slots");
    }
    let [key, inGroup] = [null, false];
    if (this.storage === LATCHED || this.storage === TABLE) {
      if (this.flags & MEMBER) {
        key = `${this.place} ${this.slotBits} ${this.slotSize}`;
        inGroup = key === state.group;
      }
      const inside = this.known ? this.member + this.valueSize <= this.slotSize : this.member < this.slotSize;
      rule(this.member % 8 === 0 && inside && !(inGroup && this.member < state.membersEnd), "member");
    } else {
      rule(this.member === 0, "member");
    }
    if (this.storage === CONSTANT) {
      rule(this.place % 8 === 0 && (this.constant || !this.known) && image.inHeap(this.place, 1), "cell-place");
    } else {
      const elements = this.storage === JOURNAL ? 8 * this.count : 0;
      const end = this.storage === TABLE ? this.place + ROWS + this.param * this.rowSize
        : this.place + 8 + slots * this.slotSize + elements;
      rule(this.place % 8 === 0 && this.place >= image.cellsOffset && end <= image.laneStride, "cell-place");
      rule(inGroup || this.place >= state.cellsEnd, "cell-overlap");
      state.cellsEnd = end;
    }
    state.group = key;
    state.membersEnd = up(this.member + this.valueSize, 8);
  }

  // ---- Values ------------------------------------------------------------------

  /** A value in the form of heap and slots. */
  decode(bytes) {
    const name = TYPES[this.type];
    if (this.isBlob) {
      const length = bytes.readUInt32LE(0);
      if (length > this.count) throw new Damaged("value-length");
      const blob = bytes.subarray(8, 8 + length);
      const value = this.type === TEXT ? text(blob, "value-utf8") : blob.toString("hex");
      return { [name]: value, cut: (bytes.readUInt32LE(4) & 1) === 1 };
    }
    const size = SIZES[this.type];
    const values = Array.from({ length: this.count }, (_, i) => this.element(bytes.subarray(i * size, (i + 1) * size)));
    if (this.kind === STATE && Number(values[0]) >= this.detail.length) throw new Damaged("value-range");
    return { [name]: this.isArray ? values : values[0] };
  }

  /** One element as text: integers in decimal, floats as their bits. */
  element(bytes) {
    if (this.type === F32 || this.type === F64) return Buffer.from(bytes).reverse().toString("hex");
    if (this.type === BOOL) {
      if (bytes[0] > 1) throw new Damaged("value-range");
      return String(bytes[0] === 1);
    }
    if (this.type === U64) return String(bytes.readBigUInt64LE());
    if (this.type === I64) return String(bytes.readBigInt64LE());
    return String(this.type >= I8 ? bytes.readIntLE(0, bytes.length) : bytes.readUIntLE(0, bytes.length));
  }

  readAtomic(base) {
    const size = SIZES[this.type];
    const bytes = this.image.source.copy(base + this.place, size === 8 ? 8 : 4);
    if (size < 4) {
      const [low, wide] = this.type >= I8 && this.type <= I64
        ? [bytes.readIntLE(0, size), bytes.readInt32LE()]
        : [bytes.readUIntLE(0, size), bytes.readUInt32LE()];
      if (low !== wide) throw new Damaged("value-range");
    }
    return this.decode(bytes.subarray(0, size));
  }

  /** PROTOCOL.md section 2.2. */
  readSlot(base) {
    return this.readCell(base + this.place);
  }

  readCell(cell) {
    const { source } = this.image;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const begin = Date.now();
      const a = source.u32(cell); // R1
      const slot = source.copy(this.slotAt(cell, a), this.slotSize); // R3
      const b = source.u32(cell); // R5
      if ((b - a) >>> 0 <= this.slots - 2 && Date.now() - begin <= TOO_LONG) return slot; // R6
    }
    throw new Contended();
  }

  slotAt(cell, number) {
    return cell + 8 + ((number >>> 0) % this.slots) * this.slotSize;
  }

  /** PROTOCOL.md section 11.3: the rows in use. */
  readTable(lane) {
    const { source } = this.image;
    const cell = lane.base + this.place;
    const used = source.copy(cell, 8).readBigUInt64LE();
    const rows = [];
    for (let row = 0; row < this.param; row++) {
      if (lane.state !== 1 || !(used >> BigInt(row) & 1n)) continue;
      try {
        const slot = this.readCell(cell + ROWS + row * this.rowSize);
        const [since, number] = [0, 8].map((at) => String(slot.readBigUInt64LE(at)));
        rows.push({ row: String(row), since, number, ...this.decode(slot.subarray(this.member)) });
      } catch (error) {
        rows.push({ row: String(row), ...verdict(error) });
      }
    }
    return { rows, refused: String(source.copy(cell + 16, 8).readBigUInt64LE()) };
  }

  /** PROTOCOL.md section 9.2. */
  readJournal(base) {
    const { source } = this.image;
    const { slots, count, slotSize } = this;
    const cell = base + this.place;
    const words = (at, n) => {
      const bytes = source.copy(at, 8 * n);
      return Array.from({ length: n }, (_, i) => bytes.readBigUInt64LE(8 * i));
    };
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const begin = Date.now();
      const a = source.u32(cell); // K1
      const e = words(cell + 8 + slots * slotSize, count); // K3
      const b = source.u32(cell); // K5
      const moved = (b - a) >>> 0;
      if (moved > slots - 2) continue;
      const heads = Array.from({ length: moved + 1 }, (_, n) => words(this.slotAt(cell, a + n + 1), 2)); // K7
      const slot = words(this.slotAt(cell, b), slotSize / 8);
      const c = source.u32(cell); // K9
      if ((c - a) >>> 0 > slots - 2 || Date.now() - begin > TOO_LONG) continue;
      const [nextTotal, next] = heads.pop();
      for (const [, change] of heads) { // K10
        const i = Number(change & 0xffffn);
        if (i < count) e[i] = (e[i] + BigInt.asIntN(48, (change >> 16n) - e[i])) & M64;
      }
      const sum = e.reduce((x, y) => (x + y) & M64, 0n);
      const [total] = slot;
      if (sum !== total) { // K11
        const i = Number(next & 0xffffn); // K12
        const old = i < count ? (total - sum + e[i]) & M64 : 0n;
        if (i < count && ((old + nextTotal - total - (next >> 16n)) & M48) === 0n) {
          e[i] = old;
        } else if (c === a) { // K13
          throw new Damaged("value-total");
        } else {
          continue;
        }
      }
      return { u64: e.map(String), total: String(total), words: slot.slice(2).map(String) };
    }
    throw new Contended();
  }

  /** The value in one lane, or a verdict. */
  read(lane) {
    try {
      if (lane.state > 2) throw new Damaged("lane-state");
      const bit = lane.presence[this.index >> 3] >> (this.index & 7) & 1;
      if (lane.state === 0 || (this.flags & OPTIONAL && !bit)) return { verdict: "absent" };
      if (this.storage === ATOMIC) return this.readAtomic(lane.base);
      if (this.storage === JOURNAL) return this.readJournal(lane.base);
      if (this.storage === TABLE) return this.readTable(lane);
      // The members of a group come from one slot.
      const key = `${this.place} ${this.slotBits} ${this.slotSize}`;
      if (!lane.slots.has(key)) lane.slots.set(key, this.readSlot(lane.base));
      return this.decode(lane.slots.get(key).subarray(this.member));
    } catch (error) {
      return verdict(error);
    }
  }

  /** The document of CONFORMANCE.md. */
  show(lanes) {
    if (this.damage) return { damaged: this.damage };
    const { label, unit, help } = this.text;
    const out = {
      label, unit, help, attributes: Object.fromEntries(this.attributes),
      type: TYPES[this.type] || "unknown", kind: KINDS[this.kind] || "unknown",
      aggregation: RULES[this.rule] || "unknown", storage: STORAGES[this.storage] || "unknown",
      level: ["info", "diagnostic"][this.level] ?? "debug", count: String(this.count),
      param: String(this.param), detail: this.detail,
    };
    if (this.state === 2) return { ...out, retired: true };
    if (!this.known || !this.knownStorage) return out;
    if (this.storage !== CONSTANT) return { ...out, lanes: lanes.map((lane) => this.read(lane)) };
    try {
      return { ...out, value: this.decode(this.constant) };
    } catch (error) {
      return { ...out, value: verdict(error) };
    }
  }
}

function verdict(error) {
  if (error instanceof Damaged) return { verdict: "damaged", code: error.code };
  if (error instanceof Contended) return { verdict: "contended" };
  throw error;
}

/** The document of CONFORMANCE.md section 2, from a new look at an open file. */
export function document(image) {
  return settled(image.source, () => shown(image.look()));
}

function shown(image) {
  const lanes = image.lanes();
  return {
    format: `3.${image.minor}`,
    state: image.state === 3 ? "closed" : "live",
    instance: image.instance,
    part: String(image.part),
    lanes: lanes.map((lane) => ["never", "owned", "returned"][lane.state] ?? "damaged"),
    fields: Array.from(image.fields(), (field) => field.show(lanes)),
  };
}
