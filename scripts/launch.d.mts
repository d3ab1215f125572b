/** Types of launch.mjs, which is JavaScript because the host's Node may not run TypeScript. */
export declare function findNode(root: string, execPath?: string, version?: string): string;
export declare function launchArguments(root: string, bundle: string, args: readonly string[]): string[];
export declare function launchEnvironment(root: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
export declare function launch(node: string, args: readonly string[], env: NodeJS.ProcessEnv): void;
