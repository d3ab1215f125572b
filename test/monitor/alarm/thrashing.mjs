/** Reads a file of so many megabytes again and again, in no order, until it is killed: in a group with less memory that thrashes. */
import { fsyncSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';

const [, , path = '', megabytes = '0'] = process.argv;
const MB = 1_048_576;
const PAGE_BYTES = 4_096;
const pages = (Number(megabytes) * MB) / PAGE_BYTES;
// Written here, so that its pages count against this group.
const file = openSync(path, 'w+');
unlinkSync(path);
for (let left = Number(megabytes); left > 0; left--) writeSync(file, Buffer.alloc(MB, 1));
fsyncSync(file);
for (const page = Buffer.alloc(PAGE_BYTES); ; ) {
  readSync(file, page, 0, PAGE_BYTES, PAGE_BYTES * Math.floor(Math.random() * pages));
}
