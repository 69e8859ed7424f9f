/**
 * Shows a page of our own if the desk cannot be loaded because there is no network. It stores
 * nothing else: prices and balances are never served from a cache.
 */
const CACHE = "desk-offline-2";
const PAGE = "/desk/offline.html";
const FILES = [PAGE, "/desk/theme.css", "/desk/theme-dark.css", "/desk/icon.svg"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
  self.skipWaiting();
});

self.addEventListener("activate", (event) => {
  const remove = (/** @type {string} */ name) => name !== CACHE && caches.delete(name);
  event.waitUntil(caches.keys().then((names) => Promise.all(names.map(remove))));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = new URL(request.url).pathname;
  if (request.mode === "navigate" && path === "/") {
    event.respondWith(fetch(request).catch(() => caches.match(PAGE)));
  } else if (FILES.includes(path)) {
    event.respondWith(fetch(request).catch(() => caches.match(request)));
  }
});
