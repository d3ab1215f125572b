/**
 * Reads a model file and leaves its weights where they are: each large tensor that the file holds becomes one that
 * refers to its bytes in the file. So a graph of any size is read in a few megabytes.
 *
 * The file is walked field by field in protobuf's wire format (https://protobuf.dev/programming-guides/encoding/);
 * what is no weight is kept as it is.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { notOnnx, type OnnxModel, readModel } from './model.ts';

/** Tensors below this stay in the graph, as exporters keep them. */
const LARGE_BYTES = 1_024;
/** Most bytes of a graph without its weights: that of a decoder with 100 layers takes about one. */
const MOST_KEPT_BYTES = 64 * 1024 ** 2;
const WINDOW_BYTES = 65_536;

/** Numbers of fields in onnx.proto: ModelProto.graph, GraphProto.initializer, and three of TensorProto. */
const GRAPH = 7;
const INITIALIZER = 5;
const RAW_DATA = 9;
const EXTERNAL_DATA = 13;
const DATA_LOCATION = 14;
const EXTERNAL = 1;

/** Throws AgentError `bad_onnx` where the file is not an ONNX model, or too large without its weights. */
export function readSkeleton(path: string): OnnxModel {
  const file = new FileWindow(path);
  try {
    return readModel(new SkeletonReader(file, basename(path)).model());
  } finally {
    file.close();
  }
}

interface Field {
  readonly number: number;
  readonly isMessage: boolean;
  /** Where its tag begins, its content begins, and what follows it. */
  readonly tagAt: number;
  readonly at: number;
  readonly end: number;
}

class SkeletonReader {
  readonly #file: FileWindow;
  readonly #location: string;
  #keptBytes = 0;

  constructor(file: FileWindow, location: string) {
    this.#file = file;
    this.#location = location;
  }

  model(): Uint8Array {
    return this.#rewrite(0, this.#file.size, GRAPH, (graph) =>
      this.#rewrite(graph.at, graph.end, INITIALIZER, (tensor) => this.#tensor(tensor)),
    );
  }

  /** Copies the message between two places; `replace` makes the content of its fields with this number. */
  #rewrite(at: number, end: number, number: number, replace: (field: Field) => Uint8Array): Uint8Array {
    const writer = new BinaryWriter();
    for (const field of this.#fields(at, end)) {
      if (field.number !== number || !field.isMessage) writer.raw(this.#copy(field.tagAt, field.end));
      else writer.tag(number, WireType.LengthDelimited).bytes(replace(field));
    }
    return writer.finish();
  }

  #tensor(tensor: Field): Uint8Array {
    let place: Field | null = null;
    const writer = new BinaryWriter();
    for (const field of this.#fields(tensor.at, tensor.end)) {
      const isLarge = field.end - field.at >= LARGE_BYTES;
      if (field.number === RAW_DATA && field.isMessage && isLarge) place = field;
      else writer.raw(this.#copy(field.tagAt, field.end));
    }
    if (place === null) return writer.finish();
    const entries = {
      location: this.#location,
      offset: String(place.at),
      length: String(place.end - place.at),
    };
    for (const [key, value] of Object.entries(entries)) {
      const entry = new BinaryWriter().tag(1, WireType.LengthDelimited).string(key);
      entry.tag(2, WireType.LengthDelimited).string(value);
      writer.tag(EXTERNAL_DATA, WireType.LengthDelimited).bytes(entry.finish());
    }
    return writer.tag(DATA_LOCATION, WireType.Varint).int32(EXTERNAL).finish();
  }

  *#fields(start: number, end: number): Generator<Field> {
    for (let at = start; at < end; ) {
      const field = this.#field(at);
      if (field.end > end) throw notOnnx('a field ends beyond what holds it');
      yield field;
      at = field.end;
    }
  }

  #field(tagAt: number): Field {
    const tag = this.#varint(tagAt);
    const number = Math.floor(tag.value / 8);
    const content = tag.end;
    const of = (at: number, end: number, isMessage = false): Field => ({ number, isMessage, tagAt, at, end });
    switch (tag.value % 8) {
      case WireType.Varint:
        return of(content, this.#varint(content).end);
      case WireType.Bit64:
        return of(content, content + 8);
      case WireType.Bit32:
        return of(content, content + 4);
      case WireType.LengthDelimited: {
        const length = this.#varint(content);
        return of(length.end, length.end + length.value, true);
      }
      default:
        throw notOnnx('a field is of no known kind');
    }
  }

  /** Exact up to 2^53, far beyond any file; larger ones end beyond it. */
  #varint(at: number): { readonly value: number; readonly end: number } {
    let value = 0;
    for (let index = 0; index < 10; index += 1) {
      const byte = this.#file.byte(at + index);
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return { value, end: at + index + 1 };
    }
    throw notOnnx('a number has more than ten bytes');
  }

  #copy(at: number, end: number): Uint8Array {
    this.#keptBytes += end - at;
    if (this.#keptBytes > MOST_KEPT_BYTES) {
      throw notOnnx(`its graph takes more than ${MOST_KEPT_BYTES} bytes without its weights`);
    }
    return this.#file.read(at, end - at);
  }
}

/** A file read at any place; small reads next to each other come from one window. */
class FileWindow {
  readonly size: number;
  readonly #file: number;
  readonly #window = Buffer.allocUnsafe(WINDOW_BYTES);
  #at = 0;
  #length = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'r');
    this.size = fstatSync(this.#file).size;
  }

  byte(at: number): number {
    if (at < this.#at || at >= this.#at + this.#length) {
      this.#length = readSync(this.#file, this.#window, 0, WINDOW_BYTES, at);
      this.#at = at;
    }
    const byte = this.#length === 0 ? undefined : this.#window[at - this.#at];
    if (byte === undefined) throw notOnnx('it ends in the middle of a field');
    return byte;
  }

  read(at: number, bytes: number): Uint8Array {
    if (at + bytes > this.size) throw notOnnx('it ends in the middle of a field');
    const target = new Uint8Array(bytes);
    for (let done = 0; done < bytes; ) {
      const read = readSync(this.#file, target, done, bytes - done, at + done);
      if (read === 0) throw notOnnx('it became shorter while it was read');
      done += read;
    }
    return target;
  }

  close(): void {
    closeSync(this.#file);
  }
}
