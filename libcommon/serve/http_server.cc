#include "serve/http_server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <deque>
#include <system_error>
#include <thread>

#include "os/interrupt.h"
#include "serve/api_error.h"

namespace slim {
namespace {

using namespace std::chrono_literals;

constexpr const char* kJsonType = "application/json";
// How long a handler sleeps before it looks whether its client is still there.
constexpr auto kPatience = 50ms;

Result<std::thread> StartThread(std::function<void()> work) {
  try {
    return std::thread(std::move(work));
  } catch (const std::system_error& error) {
    return SystemError("", "cannot start a thread", error.code().value());
  }
}

// A thread for every open connection, up to a number; further connections wait for one to end.
class ConnectionThreads : public httplib::TaskQueue {
 public:
  explicit ConnectionThreads(uint64_t most) : most_(most) {}

  void enqueue(std::function<void()> work) override {
    std::unique_lock lock(mutex_);
    if (threads_.empty()) AddThread();
    if (threads_.empty()) {
      lock.unlock();
      return work();  // by who listens, when there is nobody else
    }
    work_.push_back(std::move(work));
    if (work_.size() > idle_ && threads_.size() < most_) AddThread();
    changed_.notify_one();
  }

  void shutdown() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  // Where the system has none, the threads that there are go on; one of them takes the connection
  // later.
  void AddThread() {
    if (auto thread = StartThread([this] { Work(); }); thread.ok()) {
      threads_.push_back(std::move(thread).value());
    }
  }

  void Work() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      changed_.wait(lock, [this] { return ending_ || !work_.empty(); });
      --idle_;
      if (work_.empty()) return;
      std::function<void()> work = std::move(work_.front());
      work_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }

  const uint64_t most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
  std::vector<std::thread> threads_;
  uint64_t idle_ = 0;
  bool ending_ = false;
};

// The library's default would let a second server share the port in silence.
void SetSocketOptions(socket_t socket) {
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

Result<uint16_t> TakePort(httplib::Server& server, const HttpOptions& options) {
  errno = 0;
  int port = options.port;
  if (port == 0) {
    port = server.bind_to_any_port(options.host);
  } else if (!server.bind_to_port(options.host, port)) {
    port = -1;
  }
  if (port >= 0) return static_cast<uint16_t>(port);
  const int reason = errno == 0 ? EADDRNOTAVAIL : errno;
  Error error =
      SystemError(fmt::format("{}:{}", options.host, options.port), "cannot listen there", reason);
  if (reason == EADDRINUSE)
    error.hint = "another server has this port: stop it or give another --port";
  return error;
}

void SetError(const ApiError& error, httplib::Response& response) {
  response.status = error.status;
  response.set_content(DumpJson(error.ToJson()) + "\n", kJsonType);
}

std::string Event(const Json& json) {
  return "data: " + DumpJson(json, {.ensure_ascii = false}) + "\n\n";
}

bool Write(httplib::DataSink& sink, const std::string& text) {
  return sink.write(text.data(), text.size());
}

// One call of the content provider: what there is now goes out. False when the client is gone.
bool SendEvents(Answering& answering, httplib::DataSink& sink) {
  auto piece = answering.stream->Next(kPatience);
  std::string out;
  if (!piece.ok()) {
    out = Event(ToApiError(piece.error()).ToJson()) + "data: [DONE]\n\n";
    if (!Write(sink, out)) return false;
    sink.done();
    return true;
  }
  if (*piece) {
    for (const Json& chunk : answering.writer.Chunks(**piece)) out += Event(chunk);
    return Write(sink, out);
  }
  if (!answering.stream->done()) return sink.is_writable();
  if (answering.writer.wants_usage_chunk())
    out += Event(answering.writer.UsageChunk(answering.stream->usage()));
  if (!Write(sink, out + "data: [DONE]\n\n")) return false;
  sink.done();
  return true;
}

Result<Json> WholeAnswer(Answering& answering) {
  while (!answering.stream->done()) {
    SLIM_ASSIGN(std::optional<AnswerPiece> piece, answering.stream->Next(kPatience));
    if (piece) answering.writer.Add(std::move(*piece));
  }
  return answering.writer.Body(answering.stream->usage());
}

void Answer(Answering begun, httplib::Response& response) {
  if (!begun.streamed) {
    auto body = WholeAnswer(begun);
    if (!body.ok()) return SetError(ToApiError(body.error()), response);
    response.set_content(DumpJson(*body, {.ensure_ascii = false}) + "\n", kJsonType);
    return;
  }
  const auto shared = std::make_shared<Answering>(std::move(begun));
  response.set_header("Cache-Control", "no-cache");
  response.set_chunked_content_provider(
      "text/event-stream",
      [shared](size_t, httplib::DataSink& sink) { return SendEvents(*shared, sink); },
      [shared](bool) { shared->stream->Cancel(); });
}

}  // namespace

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

struct HttpServer::Impl {
  explicit Impl(const HttpOptions& o) : options(o) {}

  Service* service = nullptr;  // while requests are answered
  const HttpOptions options;
  httplib::Server server;
  uint16_t port = 0;
  std::atomic<bool> ended = false;

  void Configure();
  void Route();
  void Post(const char* path, Endpoint endpoint);
  // False after the answer to a request without the key.
  bool Allowed(const httplib::Request& request, httplib::Response& response) const;
  void Refuse(const httplib::Request& request, httplib::Response& response) const;
};

void HttpServer::Impl::Configure() {
  const uint64_t most = options.max_connections;
  server.new_task_queue = [most] { return new ConnectionThreads(most); };
  server.set_payload_max_length(options.max_body);
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(1000);
  server.set_keep_alive_timeout(2);
  server.set_socket_options(SetSocketOptions);
  server.set_error_handler([this](const httplib::Request& request, httplib::Response& response) {
    Refuse(request, response);
  });
  server.set_exception_handler([](const httplib::Request&, httplib::Response& response,
                                  std::exception_ptr) { SetError(HttpError(500), response); });
  server.set_logger([this](const httplib::Request& request, const httplib::Response& response) {
    // Paths that strangers make up would be labels without end.
    const bool known = response.status != 404 && response.status != 400;
    service->metrics().CountAnswer(known ? request.path : "other", response.status);
  });
}

void HttpServer::Impl::Refuse(const httplib::Request& request, httplib::Response& response) const {
  if (!response.body.empty()) return;
  constexpr std::string_view kPaths[] = {"/v1/models", "/v1/completions", "/v1/chat/completions",
                                         "/health", "/metrics"};
  if (response.status == 404 &&
      std::find(std::begin(kPaths), std::end(kPaths), request.path) != std::end(kPaths)) {
    response.status = 405;
  }
  SetError(HttpError(response.status), response);
}

bool HttpServer::Impl::Allowed(const httplib::Request& request, httplib::Response& response) const {
  const Status status = service->CheckKey(request.get_header_value("Authorization"));
  if (status.ok()) return true;
  response.set_header("WWW-Authenticate", "Bearer");
  SetError(ToApiError(status.error()), response);
  return false;
}

void HttpServer::Impl::Post(const char* path, Endpoint endpoint) {
  // Read here and not by the library, which would take a form for parameters: curl sends its -d as
  // one unless told otherwise.
  server.Post(path, [this, endpoint](const httplib::Request& request, httplib::Response& response,
                                     const httplib::ContentReader& read) {
    std::string body;
    const bool whole = read([&](const char* data, size_t size) {
      body.append(data, size);
      return true;
    });
    if (!whole || response.status >= 400) return;
    if (!Allowed(request, response)) return;
    auto begun = service->Begin(endpoint, body);
    if (!begun.ok()) return SetError(ToApiError(begun.error()), response);
    Answer(std::move(*begun), response);
  });
}

void HttpServer::Impl::Route() {
  Post("/v1/completions", Endpoint::kCompletions);
  Post("/v1/chat/completions", Endpoint::kChat);
  const auto models = [this](const httplib::Request& request, httplib::Response& response) {
    if (!Allowed(request, response)) return;
    response.set_content(DumpJson(service->ModelList()) + "\n", kJsonType);
  };
  server.Get("/v1/models", models);
  server.Get("/health", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("{\"status\": \"ok\"}\n", kJsonType);
  });
  server.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(service->metrics().Text(service->model_name()),
                         "text/plain; version=0.0.4; charset=utf-8");
  });
}

HttpServer::HttpServer(const HttpOptions& options) : impl_(std::make_unique<Impl>(options)) {
  impl_->Configure();
  impl_->Route();
}

HttpServer::~HttpServer() = default;

Status HttpServer::Bind() {
  SLIM_ASSIGN(impl_->port, TakePort(impl_->server, impl_->options));
  return {};
}

uint16_t HttpServer::port() const { return impl_->port; }

void HttpServer::Listen(Service& service) {
  impl_->service = &service;
  impl_->server.listen_after_bind();
  impl_->ended = true;
}

void HttpServer::Stop() {
  // The library forgets a stop that comes before its loop has begun.
  while (!impl_->server.is_running() && !impl_->ended) std::this_thread::sleep_for(1ms);
  impl_->server.stop();
}

Status ServeUntilSignal(HttpServer& server, Service& service,
                        const std::function<Status()>& ready) {
  DeferInterrupts();
  SLIM_ASSIGN(std::thread computing, StartThread([&] { service.scheduler().Run(); }));
  auto listening = StartThread([&] { server.Listen(service); });
  const Status status = listening.ok() ? ready() : Status(listening.error());
  if (listening.ok()) {
    while (status.ok() && InterruptSignal() == 0) std::this_thread::sleep_for(kPatience);
    server.Stop();
    listening.value().join();
  }
  service.scheduler().Stop();
  computing.join();
  return status;
}

}  // namespace slim
