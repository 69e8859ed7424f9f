// Connects sockets that begin by polling; prints the transport of each once it was upgraded.
// node upgrade.cjs URL TOKEN COUNT
const { io } = require("socket.io-client");

const [url, token, count] = process.argv.slice(2);

function upgraded(socket) {
  const connected = new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  const changed = new Promise((resolve) => {
    socket.io.engine.once("upgrade", (transport) => resolve(transport.name));
  });
  return Promise.all([changed, connected]).then(([name]) => name);
}

const options = { auth: { token }, forceNew: true, reconnection: false };
const sockets = Array.from({ length: Number(count) }, () => io(url, options));
Promise.all(sockets.map(upgraded)).then((names) => {
  console.log(JSON.stringify(names));
  for (const socket of sockets) socket.disconnect();
});
