/** Version of package.json, put in place by the bundler. */
declare const XENOLITH_VERSION: string;
