// A front end that listens: graphql-ws and graphql-sse, as their users set them up. Arguments: address, manifest, an
// access token. It prints a line for each thing it waited for; between `heard` and `again` somebody restarts the server.
import { createClient as createSocket } from 'graphql-ws'
import { createClient as createStream } from 'graphql-sse'
import { readFile } from 'node:fs/promises'
import WebSocket from 'ws'

const [, , url, manifestPath, token] = process.argv
const manifest = JSON.parse(await readFile(manifestPath, 'utf8'))
const idOf = (name) => manifest.operations.find((item) => item.name === name && item.clients.includes('citizen-app')).id
const say = (what) => console.log(JSON.stringify(what))
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const ask = async (name, variables) => {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, 'accept-language': 'en' },
    body: JSON.stringify({ documentId: idOf(name), variables }),
  })
  return (await response.json()).data
}

// Each makes the city send this citizen a message.
const changeConsent = async () => {
  const notice = (await ask('Notice', { purpose: 'licence-prefill' })).notice
  const input = { purpose: 'licence-prefill', recipient: 'citizen-app', noticeHash: notice.noticeHash }
  const { consent } = (await ask('GiveConsent', { input })).giveConsent
  await ask('WithdrawConsent', { input: { consentId: consent.id } })
}

const socketClient = (how = {}) =>
  createSocket({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 500,
    retryWait: () => pause(200),
    shouldRetry: () => true, // also while nobody listens on the port
    ...how,
  })
const streamClient = (how = {}) =>
  createStream({
    url: `${url}/graphql`,
    headers: { authorization: `Bearer ${token}` },
    retryAttempts: 500,
    retry: () => pause(200),
    ...how,
  })

// What a client listened for and what it got, in the order it came.
const listen = (client, name) => {
  const got = []
  const waiting = []
  client.subscribe(
    { documentId: idOf(name), query: '' },
    {
      next: (value) => {
        got.push(value)
        waiting.splice(0).forEach((resolve) => resolve())
      },
      error: (error) => say({ failed: name, code: error?.code, message: String(error?.message ?? error) }),
      complete: () => {},
    },
  )
  const until = async (count) => {
    while (got.length < count) await new Promise((resolve) => waiting.push(resolve))
    return got[count - 1]
  }
  return { got, until }
}
const refusalOf = (client) =>
  new Promise((resolve) =>
    client.subscribe(
      { documentId: idOf('MessageReceived'), query: '' },
      { next: () => resolve('answered'), error: resolve, complete: () => resolve('complete') },
    ),
  )

// Refused without a token.
const closed = await refusalOf(socketClient({ connectionParams: {}, retryAttempts: 0 }))
const refused = await refusalOf(streamClient({ headers: {}, retryAttempts: 0 }))
say({ withoutToken: { socket: [closed.code, closed.reason], stream: refused.response?.status } })

// Listening, and listening again after a restart.
let connections = 0
const socket = listen(socketClient({ on: { connected: () => connections++ } }), 'MessageReceived')
const stream = listen(streamClient(), 'MessageReceived')
const both = async (from) => {
  // Who listens is not told when the server has begun to tell: so something changes until it has.
  const heard = Promise.all([socket.until(from + 1), stream.until(from + 1)])
  let done = false
  heard.then(() => (done = true))
  while (!done) {
    await changeConsent().catch(() => {})
    await Promise.race([heard, pause(500)])
  }
  return (await heard).map((value) => value.data.messageReceived.code)
}
say({ heard: await both(0) })
await new Promise((resolve) => process.stdin.once('data', resolve))
const before = [socket.got.length, stream.got.length]
say({ again: await both(Math.max(...before)), connections })
process.exit(0)
