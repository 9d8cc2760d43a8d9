/** Window of a stream and of a connection in the node:http2 floors, as GMQ sets them. */
export const windowBytes = 8 * 1024 * 1024;
