// Takes away what Node.js has and a guest lacks, so that a test fails where the guest would:
//
//     node --import ./sandbox.js --test
//
// A guest has the language (ECMAScript), and `atob`, `btoa`, `queueMicrotask` and `performance`,
// whose clock stands still. What a guest's `console` has stays, and `process`, which the tests
// themselves use.

const TAKEN = [
  "AbortController", "AbortSignal", "Blob", "BroadcastChannel", "Buffer", "CompressionStream", "CustomEvent",
  "DecompressionStream", "Event", "EventTarget", "FormData", "Headers", "Intl", "MessageChannel", "Request",
  "Response", "TextDecoder", "TextEncoder", "URL", "URLSearchParams", "WebAssembly", "WebSocket", "crypto", "fetch",
  "global", "navigator", "require", "setImmediate", "setInterval", "setTimeout", "structuredClone",
];
for (const name of TAKEN) {
  delete globalThis[name];
}
const { log, info, warn, error, debug } = console;
globalThis.console = { log, info, warn, error, debug };
