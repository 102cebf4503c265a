#include "common/http/http_server.h"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/http/listening_socket.h"
#include "common/http/tls_context.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

// Without a descriptor to be had, whoever waits to be accepted would wake the thread for ever.
constexpr absl::Duration kStarvedPause = absl::Milliseconds(200);

absl::StatusOr<std::unique_ptr<TlsContext>> MakeTls(const std::string& field,
                                                    const config::v1::Tls& tls) {
  if (!tls.certificate_file().empty()) {
    auto context = TlsContext::Create(tls);
    if (context.ok()) return context;
    return absl::InvalidArgumentError(absl::StrCat(field, ".", context.status().message()));
  }
  if (!tls.key_file().empty() || !tls.client_ca_file().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(field, ".certificate_file: is empty"));
  }
  return nullptr;
}

std::string NameOf(const sockaddr_storage& address, socklen_t length) {
  char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
  getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host, sizeof(host), port,
              sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
  const bool v6 = address.ss_family == AF_INET6;
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]:" : ":", port);
}

HttpResponse RefuseInText(int status, absl::string_view wanted) {
  HttpResponse response;
  response.status = status;
  response.body = absl::StrCat(wanted, "\n");
  return response;
}

int PollTimeout(absl::Duration wait) {
  if (wait == absl::InfiniteDuration()) return -1;
  return static_cast<int>(absl::ToInt64Milliseconds(std::max(wait, absl::ZeroDuration()))) + 1;
}

}  // namespace

struct HttpServer::State {
  struct Client {
    uint64_t id;
    std::unique_ptr<HttpConnection> connection;
  };

  ~State() {
    if (!thread.joinable()) return;
    stopping.store(true);
    Wake();
    thread.join();
    mailbox->Close();
  }

  void Wake() const {
    const uint64_t one = 1;
    while (write(wake.fd(), &one, sizeof(one)) < 0 && errno == EINTR) {
    }
  }

  void Run() {
    for (;;) {
      const absl::Time now = absl::Now();
      absl::Duration wait = starved ? kStarvedPause : absl::InfiniteDuration();
      // A full house is not asked for more: poll skips what is negative.
      const bool accepting = !starved && (clients.size() < options.most_connections ||
                                          MakesRoom(now, wait));
      std::vector<pollfd> polled = {{wake.fd(), POLLIN, 0},
                                    {accepting ? listening.socket.fd() : -1, POLLIN, 0}};
      for (const Client& client : clients) {
        polled.push_back({client.connection->socket(), client.connection->wanted(), 0});
        wait = std::min(wait, client.connection->until() - now);
      }
      if (poll(polled.data(), polled.size(), PollTimeout(wait)) < 0) {
        // No event stands in `polled`. Without memory, say, there may be some later.
        std::this_thread::sleep_for(std::chrono::milliseconds(errno == EINTR ? 0 : 100));
        if (stopping.load()) return;
        continue;
      }
      if (stopping.load()) return;
      const absl::Time woken = absl::Now();
      Advance(polled, woken);
      if (polled[0].revents != 0) Deliver(woken);
      starved = false;
      if (polled[1].revents != 0) Accept(woken);
    }
  }

  // Of those who ask for nothing: the others came later.
  std::vector<Client>::const_iterator FirstIdle() const {
    return std::find_if(clients.begin(), clients.end(),
                        [](const Client& client) { return client.connection->idle(); });
  }

  // Whether one of those who ask for nothing may be ended; else `wait` lasts at most until one may.
  bool MakesRoom(absl::Time now, absl::Duration& wait) const {
    const auto idle = FirstIdle();
    if (idle == clients.end()) return false;
    const absl::Duration left = idle->connection->since() + options.patience - now;
    if (left > absl::ZeroDuration()) wait = std::min(wait, left);
    return left <= absl::ZeroDuration();
  }

  void Advance(const std::vector<pollfd>& polled, absl::Time now) {
    for (size_t i = clients.size(); i-- > 0;) {
      HttpConnection& connection = *clients[i].connection;
      const bool moved = polled[i + 2].revents != 0;
      if (now < connection.until() && (!moved || connection.Advance(now))) continue;
      clients.erase(clients.begin() + static_cast<ptrdiff_t>(i));
    }
  }

  void Deliver(absl::Time now) {
    uint64_t count = 0;
    while (read(wake.fd(), &count, sizeof(count)) < 0 && errno == EINTR) {
    }
    for (HttpMailbox::Answer& answer : mailbox->Take()) {
      const auto it = std::find_if(clients.begin(), clients.end(), [&](const Client& client) {
        return client.id == answer.connection;
      });
      if (it != clients.end() && !it->connection->Answer(answer.make(), now)) clients.erase(it);
    }
  }

  void Accept(absl::Time now) {
    if (clients.size() >= options.most_connections) {
      // Who was to make room may have asked meanwhile.
      absl::Duration wait = absl::InfiniteDuration();
      if (!MakesRoom(now, wait)) return;
      clients.erase(FirstIdle());
    }
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    const int socket = accept4(listening.socket.fd(), reinterpret_cast<sockaddr*>(&from), &length,
                               SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) {
      starved = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
      return;
    }
    const uint64_t id = next_id++;
    HttpConnection::Hooks hooks;
    hooks.on_request = [this, id, peer = NameOf(from, length)](HttpRequest request) {
      request.to_loopback = listening.loopback;
      request.peer = peer;
      handler(std::move(request), HttpResponder(mailbox, id));
    };
    hooks.refuse = options.refuse;
    clients.push_back({id, std::make_unique<HttpConnection>(
                               socket, tls == nullptr ? nullptr : tls->Current(), options.limits,
                               now, std::move(hooks))});
  }

  HttpServerOptions options;
  HttpHandler handler;
  std::unique_ptr<TlsContext> tls;  // null: plain HTTP
  ListeningSocket listening;
  Descriptor wake;
  std::shared_ptr<HttpMailbox> mailbox;
  std::atomic<bool> stopping{false};
  std::thread thread;
  // Of the thread.
  std::vector<Client> clients;  // by the time at which they came
  uint64_t next_id = 1;
  bool starved = false;
};

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpServer::~HttpServer() = default;

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options,
                                                              HttpHandler handler) {
  auto state = std::make_unique<State>();
  PENSTOCK_ASSIGN_OR_RETURN(state->tls, MakeTls(options.tls_field, options.tls));
  PENSTOCK_ASSIGN_OR_RETURN(state->listening, ListenOn(options.address_field, options.address));
  state->wake = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (state->wake.fd() < 0) {
    return absl::UnavailableError(
        absl::StrCat(options.address_field, ": no eventfd: ", std::strerror(errno)));
  }
  State* const running = state.get();
  state->mailbox = std::make_shared<HttpMailbox>([running] { running->Wake(); });
  state->options = std::move(options);
  if (!state->options.refuse) state->options.refuse = RefuseInText;
  state->handler = std::move(handler);
  state->thread = std::thread([running] { running->Run(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

const std::string& HttpServer::address() const { return state_->listening.address; }

}  // namespace penstock
