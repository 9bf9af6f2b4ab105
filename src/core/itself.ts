/** What the gateway calls itself towards clients and servers; a test compares the version with the package's. */
export const ITSELF = Object.freeze({ name: 'gatewrit', version: '0.1.0' });
