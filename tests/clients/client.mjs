// A front end in miniature: graphql-request with trusted documents. Its argument is the address; it prints what it got.
import { GraphQLClient, ClientError } from 'graphql-request'
import { readFile } from 'node:fs/promises'

const [, , url, manifestPath] = process.argv
const manifest = JSON.parse(await readFile(manifestPath, 'utf8'))
const idOf = (name) => manifest.operations.find((item) => item.name === name && item.clients.includes('citizen-app')).id
const textOf = (name) => manifest.operations.find((item) => item.name === name && item.clients.includes('citizen-app')).body

// graphql-request sends the text of a document; ours takes its id, so the request is rewritten as it goes out.
const named = (how, name) =>
  how === 'documentId' ? { documentId: idOf(name) } : { extensions: { persistedQuery: { version: 1, sha256Hash: idOf(name) } } }

const trusting = (how) => (url, init) => {
  if (init.method === 'GET') {
    const address = new URL(url)
    address.searchParams.delete('query')
    for (const [key, value] of Object.entries(named(how, address.searchParams.get('operationName'))))
      address.searchParams.set(key, typeof value === 'string' ? value : JSON.stringify(value))
    return fetch(address, init)
  }
  const { operationName, variables } = JSON.parse(init.body)
  return fetch(url, { ...init, body: JSON.stringify({ ...named(how, operationName), variables }) })
}

const client = (how, method = 'POST') =>
  new GraphQLClient(`${url}/graphql`, {
    method,
    headers: { accept: 'application/graphql-response+json', 'accept-language': 'en', 'gov-preflight': '1' },
    fetch: trusting(how),
  })

const told = {}
told.byDocumentId = (await client('documentId').request(textOf('Services'))).services[0].code
told.byPersistedQuery = (await client('persistedQuery').request(textOf('Services'))).services[0].code
told.byGet = (await client('documentId', 'GET').request(textOf('Services'))).services[0].code
told.byGetPersistedQuery = (await client('persistedQuery', 'GET').request(textOf('Services'))).services[0].code
const raw = await client('documentId').rawRequest(textOf('Services'))
told.mediaType = raw.headers.get('content-type')
try {
  await client('documentId').request(textOf('Me'), { withPhone: false })
  told.refusal = 'none'
} catch (error) {
  if (!(error instanceof ClientError)) throw error
  told.refusal = error.response.errors[0].extensions.code
  told.refusalStatus = error.response.status
  told.refusalMessage = error.response.errors[0].message
}
const payload = await client('documentId').request(textOf('RequestSignInCode'), { input: { phone: 'not a phone' } })
told.userError = payload.requestSignInCode.userErrors[0].code
console.log(JSON.stringify(told))
