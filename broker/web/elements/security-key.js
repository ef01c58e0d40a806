/** What the browser does with security keys: it asks the person, and the key signs for this page alone. */

/** Whether this browser can, with what the edge sends and takes. */
export function canUseKeys() {
  return typeof PublicKeyCredential === "function" && "parseRequestOptionsFromJSON" in PublicKeyCredential
    && "toJSON" in PublicKeyCredential.prototype;
}

/**
 * What the key says, as JSON; null where none was used.
 * @param {unknown} options
 */
export function useKey(options) {
  const asked = /** @type {PublicKeyCredentialRequestOptionsJSON} */ (options);
  return answer(() => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) }));
}

/**
 * What a key that was made says, as JSON; null where none was made.
 * @param {unknown} options
 */
export function makeKey(options) {
  const asked = /** @type {PublicKeyCredentialCreationOptionsJSON} */ (options);
  return answer(() => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) }));
}

/**
 * @param {() => Promise<Credential | null>} ask
 * @returns {Promise<string | null>}
 */
async function answer(ask) {
  try {
    const credential = await ask();
    return credential instanceof PublicKeyCredential ? JSON.stringify(credential.toJSON()) : null;
  } catch {
    return null; // the person declined, no key was there, or the time was over: browsers do not tell pages which
  }
}
