/** http-proxy 1.18 as its users run it at its best: with a keep-alive agent. Arguments: listening port, upstream URL. */
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy'

const [port, target = ''] = process.argv.slice(2)
const proxy = httpProxy.createProxyServer({ target, agent: new Agent({ keepAlive: true, maxFreeSockets: 16_384 }) })
proxy.on('error', (_error, _request, response) => {
  if (!response.headersSent) response.writeHead(502)
  response.end()
})
createServer((request, response) => proxy.web(request, response)).listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 })
