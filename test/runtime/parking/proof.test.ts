/** Where the kernel does not do what it should, or tells something else, nothing is parked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Foreign, openForeign } from '../../../agent/linux/foreign.ts';
import { type Heap, openHeap } from '../../../agent/linux/heap.ts';
import { OwnMemory } from '../../../agent/linux/own-memory.ts';
import { openPages } from '../../../agent/linux/pages.ts';
import { openRemapping } from '../../../agent/linux/remapping.ts';
import type { Machine } from '../../../agent/runtime/parking/claim.ts';
import { PIECE_BYTES } from '../../../agent/runtime/parking/holes.ts';
import { openParking } from '../../../agent/runtime/parking/parking.ts';
import { proves, recognises } from '../../../agent/runtime/parking/proof.ts';
import { skip } from './allocations.ts';

async function open() {
  const foreign = await openForeign();
  const pages = foreign === null ? null : openPages(foreign);
  assert.ok(foreign !== null && pages !== null);
  const { pageBytes } = pages;
  const remapping = openRemapping(foreign, pageBytes);
  const memory = OwnMemory.open(pageBytes);
  assert.ok(remapping !== null && memory !== null);
  const machine = {
    pageBytes,
    remapping,
    memory: {
      read: memory.read.bind(memory),
      count: memory.count.bind(memory),
      touched: memory.touched.bind(memory),
    },
  };
  return { machine, holds: (other: Machine) => proves(other, foreign, pages), close: () => memory.close() };
}

test('here it does', { skip }, async () => {
  const { machine, holds, close } = await open();
  assert.equal(holds(machine), true);
  close();
});

test('a kernel that lies is found out', { skip }, async () => {
  const { machine, holds, close } = await open();
  const { memory, remapping } = machine;
  const lies: Record<string, Machine> = {
    'all pages are of files': {
      ...machine,
      memory: {
        ...memory,
        count: (...look) => ({ presentBytes: memory.count(...look)?.presentBytes ?? 0, ownBytes: 0 }),
      },
    },
    'nothing is told of pages': { ...machine, memory: { ...memory, count: () => null } },
    'another memory is read': {
      ...machine,
      memory: { ...memory, read: (_, into) => into.fill(0).length > 0 },
    },
    'a file is not mapped': { ...machine, remapping: { ...remapping, mapOver: () => true } },
    'pages are not dropped': { ...machine, remapping: { ...remapping, drop: () => true } },
    'the page cache is not told': { ...machine, remapping: { ...remapping, cached: () => null } },
  };
  for (const [what, lie] of Object.entries(lies)) assert.equal(holds(lie), false, what);
  close();
});

test('without foreign functions, glibc, or one of its functions, nothing is parked', { skip }, async () => {
  const foreign = await openForeign();
  assert.ok(foreign !== null);
  assert.notEqual(await openParking(async () => foreign), null);
  assert.equal(await openParking(async () => null), null);
  for (const missing of [
    'gnu_get_libc_version',
    'mmap',
    'madvise',
    'mincore',
    'malloc',
    'mallopt',
    'posix_memalign',
  ]) {
    const find: Foreign['find'] = (library, name) => (name === missing ? null : foreign.find(library, name));
    assert.equal(await openParking(async () => ({ ...foreign, find })), null, missing);
  }
});

test('a C library that lays its blocks out in another way is found out', { skip }, async () => {
  const { machine, close } = await open();
  const foreign = await openForeign();
  const heap = foreign === null ? null : openHeap(foreign, PIECE_BYTES);
  assert.ok(heap !== null);
  assert.equal(recognises(machine, heap), true);
  const others: Record<string, Heap> = {
    'nothing before it': { ...heap, allocateAligned: (_, bytes) => heap.allocateAligned(16, bytes) },
    'in the heap': { ...heap, allocateAligned: (alignment) => heap.allocateAligned(alignment, 1_000) },
    'not at all': { ...heap, allocateAligned: () => null },
  };
  for (const [what, other] of Object.entries(others)) assert.equal(recognises(machine, other), false, what);
  close();
});
