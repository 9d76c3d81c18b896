// The service over HTTP: /v1/models, /v1/completions, /v1/chat/completions, /health and /metrics.
// Plain HTTP/1.1; who needs TLS puts a proxy in front. The only file that knows the HTTP library.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "serve/service.h"

namespace slim {

struct HttpOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;             // 0: any free one
  uint64_t max_body = 16ULL << 20;  // bytes
  uint64_t max_connections = 256;   // at once; more wait
};

// Whether only this machine can reach the address: localhost, 127.…, ::1.
bool IsLoopback(const std::string& host);

class HttpServer {
 public:
  explicit HttpServer(const HttpOptions& options);
  ~HttpServer();

  // Takes the port, so that a mistake shows before a model is loaded; who connects waits until
  // Listen(). kSystem when the address is in use or is none of this machine.
  Status Bind();
  uint16_t port() const;
  // Answers until Stop(), and then until every open request is answered. After Bind().
  void Listen(Service& service);
  // Takes no more connections. From any thread, once Listen() was called or is about to be.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Answers until a signal asks the process to stop; then finishes what was accepted. `server` has
// its port; `ready` is called when requests are answered from now on. kSystem without threads.
Status ServeUntilSignal(HttpServer& server, Service& service, const std::function<Status()>& ready);

}  // namespace slim
