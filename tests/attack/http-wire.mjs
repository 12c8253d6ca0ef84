// Bytes over a bare connection, and what came back, for the http-*.test.mjs beside this file.
import net from 'node:net';

// Sends, and resolves to everything that came until the server closed. Clients of this either make it
// close (by what they send, or Connection: close) or have a server with a short limits.request_time.
export function exchange(port, bytes) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    let got = '';
    socket.setEncoding('latin1');
    socket.on('data', (d) => { got += d; });
    socket.on('close', () => resolve(got));
    socket.on('error', (e) => { if (e.code !== 'ECONNRESET' && e.code !== 'EPIPE') reject(e); });
    socket.write(bytes, 'latin1');
  });
}

// The answers in a byte stream: [{status, headers, body}]. A body is as long as its head says.
export function answers(text) {
  const found = [];
  for (let at = 0; ;) {
    const end = text.indexOf('\r\n\r\n', at);
    const first = /^HTTP\/1\.1 (\d{3}) /.exec(text.slice(at));
    if (end < 0 || !first) return found;
    const headers = {};
    for (const line of text.slice(at, end).split('\r\n').slice(1)) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const length = Number(headers['content-length'] ?? 0);
    found.push({ status: Number(first[1]), headers, body: text.slice(end + 4, end + 4 + length) });
    at = end + 4 + length;
  }
}

export const statuses = (text) => answers(text).map((a) => a.status);
