#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/http/http_connection.h"
#include "common/http/http_message.h"
#include "common/http/http_responder.h"
#include "penstock/config/v1/server.pb.h"

namespace penstock {

// Takes GET and HEAD; what else comes is refused. Called on the server's thread: must not block.
using HttpHandler = std::function<void(HttpRequest, HttpResponder)>;

struct HttpServerOptions {
  // How errors call the two: "server.metrics", "server.metrics_tls".
  std::string address_field;
  std::string tls_field;
  std::string address;  // HOST:PORT, port 0 picks a free one
  // With a certificate, HTTPS; its files are read again for each connection where they changed.
  config::v1::Tls tls;
  HttpLimits limits;
  // More wait in the listening socket.
  size_t most_connections = 32;
  // Where there are that many, one that has asked for nothing for so long makes room for the next.
  absl::Duration patience = absl::Seconds(1);
  // Empty: what was wanted, as plain text.
  HttpRefusal refuse;
};

// A small HTTP or HTTPS server: one thread, one request a connection, so many connections, so much
// time for each.
class HttpServer {
 public:
  // INVALID_ARGUMENT names the field that is wrong. UNAVAILABLE when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(HttpServerOptions options,
                                                           HttpHandler handler);
  // `handler` does not run after this.
  ~HttpServer();

  // HOST:PORT as bound.
  const std::string& address() const;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);

  const std::unique_ptr<State> state_;
};

}  // namespace penstock
