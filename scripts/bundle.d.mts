/** Types of bundle.mjs, which is JavaScript because the host's Node may not run TypeScript. */
export declare const ROOT: string;
export declare function sourceKey(root: string): string;
export declare function currentBundle(root?: string): { folder: string; file: string; exists: boolean };
export declare function ensureBundle(root?: string): Promise<string>;
export declare function bundleFile(root: string, entry: string, outfile: string): Promise<void>;
export declare function markUsed(folder: string): void;
