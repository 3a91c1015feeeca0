/**
 * Dialogs hold the page behind them with a style of their own, which the content security policy lets pass only with this
 * answer's nonce. The library that adds it (react-remove-scroll) looks for the nonce under webpack's name.
 */
import { styleNonce } from "../page";

Object.assign(globalThis, { __webpack_nonce__: styleNonce });
