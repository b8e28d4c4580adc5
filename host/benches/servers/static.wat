;; The file 1k.txt as a component for `wasmtime serve` (wasi:http 0.2): it answers every
;; request with the same 1 KiB, as a component would that holds its files inside. The
;; bytes are those of 1k.txt in files.py.
;;
;; Written by hand, so that nothing needs to be built: wasmtime takes the text format.
(component
  (import "wasi:io/error@0.2.0" (instance $io-error
    (export "error" (type (sub resource)))
  ))
  (alias export $io-error "error" (type $io-error-type))

  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $output-stream (sub resource)))
    (alias outer 1 $io-error-type (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (type $stream-error-type
      (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error-type)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output-stream)) (param "contents" (list u8))
        (result (result (error $stream-error)))))
  ))
  (alias export $streams "output-stream" (type $output-stream))

  (import "wasi:http/types@0.2.0" (instance $types
    (alias outer 1 $output-stream (type $outer-output-stream))
    (export "output-stream" (type $output-stream (eq $outer-output-stream)))
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type $response-outparam (sub resource)))
    (export "outgoing-response" (type $outgoing-response (sub resource)))
    (export "outgoing-body" (type $outgoing-body (sub resource)))
    (export "fields" (type $fields (sub resource)))
    (export "headers" (type $headers (eq $fields)))
    (export "trailers" (type $trailers (eq $fields)))

    (type $header-error-type
      (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
    (export "header-error" (type $header-error (eq $header-error-type)))

    (type $dns-error-type
      (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns-error (eq $dns-error-type)))
    (type $tls-alert-type
      (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $tls-alert (eq $tls-alert-type)))
    (type $field-size-type
      (record (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $field-size (eq $field-size-type)))
    (type $error-code-type (variant
      (case "DNS-timeout")
      (case "DNS-error" $dns-error)
      (case "destination-not-found")
      (case "destination-unavailable")
      (case "destination-IP-prohibited")
      (case "destination-IP-unroutable")
      (case "connection-refused")
      (case "connection-terminated")
      (case "connection-timeout")
      (case "connection-read-timeout")
      (case "connection-write-timeout")
      (case "connection-limit-reached")
      (case "TLS-protocol-error")
      (case "TLS-certificate-error")
      (case "TLS-alert-received" $tls-alert)
      (case "HTTP-request-denied")
      (case "HTTP-request-length-required")
      (case "HTTP-request-body-size" (option u64))
      (case "HTTP-request-method-invalid")
      (case "HTTP-request-URI-invalid")
      (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32))
      (case "HTTP-request-header-size" (option $field-size))
      (case "HTTP-request-trailer-section-size" (option u32))
      (case "HTTP-request-trailer-size" $field-size)
      (case "HTTP-response-incomplete")
      (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $field-size)
      (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32))
      (case "HTTP-response-trailer-size" $field-size)
      (case "HTTP-response-transfer-coding" (option string))
      (case "HTTP-response-content-coding" (option string))
      (case "HTTP-response-timeout")
      (case "HTTP-upgrade-failed")
      (case "HTTP-protocol-error")
      (case "loop-detected")
      (case "configuration-error")
      (case "internal-error" (option string))))
    (export "error-code" (type $error-code (eq $error-code-type)))

    (export "[constructor]fields" (func (result (own $fields))))
    (export "[method]fields.append"
      (func (param "self" (borrow $fields)) (param "name" string) (param "value" (list u8))
        (result (result (error $header-error)))))
    (export "[constructor]outgoing-response"
      (func (param "headers" (own $headers)) (result (own $outgoing-response))))
    (export "[method]outgoing-response.body"
      (func (param "self" (borrow $outgoing-response))
        (result (result (own $outgoing-body)))))
    (export "[static]response-outparam.set"
      (func (param "param" (own $response-outparam))
        (param "response" (result (own $outgoing-response) (error $error-code)))))
    (export "[method]outgoing-body.write"
      (func (param "self" (borrow $outgoing-body))
        (result (result (own $output-stream)))))
    (export "[static]outgoing-body.finish"
      (func (param "this" (own $outgoing-body)) (param "trailers" (option (own $trailers)))
        (result (result (error $error-code)))))
  ))
  (alias export $types "incoming-request" (type $incoming-request))
  (alias export $types "response-outparam" (type $response-outparam))

  ;; The memory is a module of its own: the imports below need it before the module that
  ;; calls them exists.
  (core module $memory-module
    (memory (export "memory") 1)
    ;; What comes back are errors alone, and each of them ends in a trap: there is no
    ;; need to keep them apart.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))
    (data (i32.const 0) "content-type" "text/plain" "content-length" "1024")
    (data (i32.const 1024)
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n"
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\n")
  )
  (core instance $memory (instantiate $memory-module))
  (alias core export $memory "memory" (core memory $memory-of))
  (alias core export $memory "realloc" (core func $realloc))

  (core func $fields-new
    (canon lower (func $types "[constructor]fields")))
  (core func $fields-append
    (canon lower (func $types "[method]fields.append") (memory $memory-of)))
  (core func $response-new
    (canon lower (func $types "[constructor]outgoing-response")))
  (core func $response-body
    (canon lower (func $types "[method]outgoing-response.body") (memory $memory-of)))
  (core func $outparam-set
    (canon lower (func $types "[static]response-outparam.set") (memory $memory-of)))
  (core func $body-write
    (canon lower (func $types "[method]outgoing-body.write") (memory $memory-of)))
  (core func $body-finish
    (canon lower (func $types "[static]outgoing-body.finish")
      (memory $memory-of) (realloc $realloc)))
  (core func $stream-write
    (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
      (memory $memory-of)))
  (core func $stream-drop (canon resource.drop $output-stream))
  (core func $request-drop (canon resource.drop $incoming-request))

  (core module $main-module
    (import "host" "fields-new" (func $fields-new (result i32)))
    (import "host" "fields-append" (func $fields-append (param i32 i32 i32 i32 i32 i32)))
    (import "host" "response-new" (func $response-new (param i32) (result i32)))
    (import "host" "response-body" (func $response-body (param i32 i32)))
    (import "host" "outparam-set"
      (func $outparam-set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "host" "body-write" (func $body-write (param i32 i32)))
    (import "host" "body-finish" (func $body-finish (param i32 i32 i32 i32)))
    (import "host" "stream-write" (func $stream-write (param i32 i32 i32 i32)))
    (import "host" "stream-drop" (func $stream-drop (param i32)))
    (import "host" "request-drop" (func $request-drop (param i32)))
    (import "host" "memory" (memory 1))

    ;; Results are written here, each over the one before.
    (global $result i32 (i32.const 512))

    ;; A result begins with a byte that says whether it is an error.
    (func $check
      (if (i32.load8_u (global.get $result)) (then unreachable)))

    ;; What a result holds that is no error.
    (func $taken (result i32)
      (call $check)
      (i32.load (i32.add (global.get $result) (i32.const 4))))

    (func (export "handle") (param $request i32) (param $outparam i32)
      (local $fields i32) (local $response i32) (local $body i32) (local $stream i32)
      (call $request-drop (local.get $request))
      (local.set $fields (call $fields-new))
      (call $fields-append (local.get $fields)
        (i32.const 0) (i32.const 12) (i32.const 12) (i32.const 10) (global.get $result))
      (call $check)
      (call $fields-append (local.get $fields)
        (i32.const 22) (i32.const 14) (i32.const 36) (i32.const 4) (global.get $result))
      (call $check)
      (local.set $response (call $response-new (local.get $fields)))
      (call $response-body (local.get $response) (global.get $result))
      (local.set $body (call $taken))
      ;; A good response: what follows it belongs to errors.
      (call $outparam-set (local.get $outparam) (i32.const 0) (local.get $response)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (call $body-write (local.get $body) (global.get $result))
      (local.set $stream (call $taken))
      (call $stream-write (local.get $stream)
        (i32.const 1024) (i32.const 1024) (global.get $result))
      (call $check)
      (call $stream-drop (local.get $stream))
      ;; No trailers.
      (call $body-finish
        (local.get $body) (i32.const 0) (i32.const 0) (global.get $result))
      (call $check))
  )
  (core instance $main (instantiate $main-module (with "host" (instance
    (export "memory" (memory $memory-of))
    (export "fields-new" (func $fields-new))
    (export "fields-append" (func $fields-append))
    (export "response-new" (func $response-new))
    (export "response-body" (func $response-body))
    (export "outparam-set" (func $outparam-set))
    (export "body-write" (func $body-write))
    (export "body-finish" (func $body-finish))
    (export "stream-write" (func $stream-write))
    (export "stream-drop" (func $stream-drop))
    (export "request-drop" (func $request-drop))
  ))))

  (func $handle
    (param "request" (own $incoming-request)) (param "response-out" (own $response-outparam))
    (canon lift (core func $main "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler))
)
