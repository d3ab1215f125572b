/**
 * The files of the page as texts. From source they are read from the folder `client` beside this file;
 * scripts/bundle.mjs puts a module that holds them in the place of this one, so that they travel inside the bundle.
 */
import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('client/', import.meta.url);
/** What a browser gets; a folder of sources holds other files too. */
const SERVED = /\.(html|css|mjs|svg)$/;

/** Name of each file, and its text. */
export const SOURCES: Readonly<Record<string, string>> = Object.fromEntries(
  readdirSync(FOLDER)
    .filter((name) => SERVED.test(name))
    .map((name) => [name, readFileSync(new URL(name, FOLDER), 'utf8')]),
);
