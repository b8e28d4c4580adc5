// Takes away what Node.js has and a guest lacks, so that a test fails where the guest would:
//
//     node --import ./sandbox.js --test
//
// A guest has the language (ECMAScript), and `atob`, `btoa`, `queueMicrotask` and `performance`,
// whose clock stands still. `console` and `process` stay, as the tests themselves use them.

const TAKEN = [
  "AbortController", "AbortSignal", "Blob", "BroadcastChannel", "Buffer", "CompressionStream", "CustomEvent",
  "DecompressionStream", "Event", "EventTarget", "FormData", "Headers", "Intl", "MessageChannel", "Request",
  "Response", "TextDecoder", "TextEncoder", "URL", "URLSearchParams", "WebAssembly", "WebSocket", "crypto", "fetch",
  "global", "navigator", "require", "setImmediate", "setInterval", "setTimeout", "structuredClone",
];
for (const name of TAKEN) {
  delete globalThis[name];
}
