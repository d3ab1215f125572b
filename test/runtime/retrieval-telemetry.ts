/** Imported before anything that loads ONNX Runtime: its telemetry is decided when the library loads. */
process.env['ORT_DISABLE_TELEMETRY'] = '1';

export {};
