/** Where an agent answers questions about its records. */

/** In the folder of its state. */
export const OBSERVE_SOCKET = "observe.sock";
/** In the folder of what it keeps. */
export const RECORDS_FOLDER = "records";
export const RECORDS_PATH = "/v1/records";
export const STATE_PATH = "/v1/state";
