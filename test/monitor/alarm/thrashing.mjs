/**
 * Writes a file of so many megabytes and reads it in no order, again and again, until it is killed: in a group with less
 * memory that thrashes. Of what is only read, the kernel takes the pages back with ease, and may never call it a shortage.
 */
import { fsyncSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';

const [, , path = '', megabytes = '0'] = process.argv;
const MB = 1_048_576;
const PAGE_BYTES = 4_096;
const pages = (Number(megabytes) * MB) / PAGE_BYTES;
const block = Buffer.alloc(MB, 1);
const page = Buffer.alloc(PAGE_BYTES);
// Written here, so that its pages count against this group.
const file = openSync(path, 'w+');
unlinkSync(path);
for (;;) {
  for (let at = 0; at < Number(megabytes); at++) writeSync(file, block, 0, MB, at * MB);
  fsyncSync(file);
  for (let left = pages; left > 0; left--) {
    readSync(file, page, 0, PAGE_BYTES, PAGE_BYTES * Math.floor(Math.random() * pages));
  }
}
