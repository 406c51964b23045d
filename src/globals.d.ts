/** Version of package.json, put in place by the bundler. */
declare const XENOLITH_VERSION: string;

/** Small modules that the bundler embeds. */
declare module "*.wasm" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
