#include "common/metrics/metrics_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/common_net/certificates.h"

namespace penstock {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kScrape[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

// A blocking client, in plain text or with TLS.
class Client {
 public:
  explicit Client(const std::string& address) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    const timeval timeout{30, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  }
  ~Client() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    close(socket_);
  }

  // Whether the server shows a certificate of that authority. `identity`: ours, NAME of NAME.pem.
  bool Handshake(const Certificates& authority, const std::string& identity = "") {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_load_verify_locations(context_, authority.File("ca.pem").c_str(), nullptr);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    if (!identity.empty()) {
      SSL_CTX_use_certificate_file(context_, authority.File(identity + ".pem").c_str(),
                                   SSL_FILETYPE_PEM);
      SSL_CTX_use_PrivateKey_file(context_, authority.File(identity + ".key").c_str(),
                                  SSL_FILETYPE_PEM);
    }
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, socket_);
    const bool connected = SSL_connect(ssl_) == 1;
    ERR_clear_error();
    return connected;
  }
  void Send(const std::string& text) {
    if (ssl_ != nullptr) {
      SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
    } else {
      ASSERT_EQ(send(socket_, text.data(), text.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(text.size()));
    }
  }
  // Until the server ends it.
  std::string Receive() {
    std::string text;
    char buffer[4096];
    for (;;) {
      const int got = ssl_ != nullptr ? SSL_read(ssl_, buffer, sizeof(buffer))
                                      : static_cast<int>(recv(socket_, buffer, sizeof(buffer), 0));
      if (got <= 0) return text;
      text.append(buffer, static_cast<size_t>(got));
    }
  }

 private:
  const int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
};

class MetricsPortTest : public ::testing::Test {
 protected:
  MetricsPortTest() {
    prometheus::BuildCounter().Name("penstock_test_total").Help("h").Register(*registry_).Add({});
  }
  std::unique_ptr<MetricsServer> Serve(const config::v1::Tls& tls = {}) {
    auto server = MetricsServer::Start("127.0.0.1:0", registry_, tls);
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }
  static config::v1::Tls TlsOf(const Certificates& certificates, bool mutual) {
    config::v1::Tls tls;
    tls.set_certificate_file(certificates.File("server.pem"));
    tls.set_key_file(certificates.File("server.key"));
    if (mutual) tls.set_client_ca_file(certificates.File("ca.pem"));
    return tls;
  }

  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
};

TEST_F(MetricsPortTest, AnswersInPrometheusFormat) {
  const auto server = Serve();
  Client client(server->address());
  client.Send(kScrape);
  const std::string answer = client.Receive();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("penstock_test_total 0"));
}

TEST_F(MetricsPortTest, ARequestMayComeInPieces) {
  const auto server = Serve();
  Client client(server->address());
  for (const char* piece : {"GET /met", "rics HTTP/1.1\r\n", "\r", "\n"}) client.Send(piece);
  EXPECT_THAT(client.Receive(), StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(MetricsPortTest, IdleClientsKeepNobodyOut) {
  const auto server = Serve();
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 20; ++i) idle.push_back(std::make_unique<Client>(server->address()));
  Client client(server->address());
  client.Send(kScrape);
  EXPECT_THAT(client.Receive(), StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(MetricsPortTest, ARequestWithoutEndIsRefused) {
  const auto server = Serve();
  Client client(server->address());
  client.Send("GET /metrics HTTP/1.1\r\nX: " + std::string(8192, 'x'));
  EXPECT_THAT(client.Receive(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(MetricsPortTest, WithACertificateItSpeaksTlsAlone) {
  const Certificates certificates;
  const auto server = Serve(TlsOf(certificates, /*mutual=*/false));
  Client client(server->address());
  ASSERT_TRUE(client.Handshake(certificates));
  client.Send(kScrape);
  EXPECT_THAT(client.Receive(), HasSubstr("penstock_test_total 0"));

  Client plain(server->address());
  plain.Send(kScrape);
  EXPECT_THAT(plain.Receive(), Not(HasSubstr("penstock_test_total")));
}

TEST_F(MetricsPortTest, WithAClientAuthorityStrangersSeeNothing) {
  const Certificates certificates, others;
  const auto server = Serve(TlsOf(certificates, /*mutual=*/true));
  Client known(server->address());
  ASSERT_TRUE(known.Handshake(certificates, "gateway-1"));
  known.Send(kScrape);
  EXPECT_THAT(known.Receive(), HasSubstr("penstock_test_total 0"));

  // TLS 1.3: the client learns that it was refused when it reads.
  Client nobody(server->address());
  if (nobody.Handshake(certificates)) nobody.Send(kScrape);
  EXPECT_THAT(nobody.Receive(), IsEmpty());
}

TEST_F(MetricsPortTest, ACertificateThatIsReplacedIsShownToTheNextAndDropsNobody) {
  const Certificates certificates, next;
  const auto server = Serve(TlsOf(certificates, /*mutual=*/false));
  Client before(server->address());
  ASSERT_TRUE(before.Handshake(certificates));

  // Between the two the files do not fit together: what fitted last is shown.
  certificates.Replace("server.key", next.Read("server.key"));
  Client between(server->address());
  EXPECT_TRUE(between.Handshake(certificates));
  certificates.Replace("server.pem", next.Read("server.pem"));
  Client after(server->address());
  ASSERT_TRUE(after.Handshake(next));

  for (Client* client : {&before, &between, &after}) {
    client->Send(kScrape);
    EXPECT_THAT(client->Receive(), HasSubstr("penstock_test_total 0"));
  }
}

TEST_F(MetricsPortTest, NamesTheFieldThatIsWrong) {
  const Certificates certificates;
  const auto refused = [this](const config::v1::Tls& tls) {
    return std::string(MetricsServer::Start("127.0.0.1:0", registry_, tls).status().message());
  };
  config::v1::Tls tls = TlsOf(certificates, /*mutual=*/true);
  tls.set_client_ca_file(certificates.File("absent.pem"));
  EXPECT_THAT(refused(tls), HasSubstr("server.metrics_tls.client_ca_file"));
  tls.set_key_file(certificates.File("stranger.key"));
  EXPECT_THAT(refused(tls), HasSubstr("server.metrics_tls.key_file"));
  tls.set_certificate_file(certificates.File("absent.pem"));
  EXPECT_THAT(refused(tls), HasSubstr("server.metrics_tls.certificate_file"));
  tls.clear_certificate_file();
  EXPECT_THAT(refused(tls), HasSubstr("server.metrics_tls.certificate_file: is empty"));
}

TEST_F(MetricsPortTest, HasOnePageAndTakesNothingElse) {
  const auto server = Serve();
  const auto answer = [&server](const std::string& line) {
    Client client(server->address());
    client.Send(line + "\r\nHost: x\r\n\r\n");
    return client.Receive();
  };
  EXPECT_THAT(answer("GET /metrics HTTP/1.0"), HasSubstr("penstock_test_total 0\n"));
  EXPECT_THAT(answer("GET /metrics?x=y HTTP/1.1"), StartsWith("HTTP/1.1 200 OK"));
  const std::string head = answer("HEAD /metrics HTTP/1.1");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(head, EndsWith("Connection: close\r\n\r\n"));
  EXPECT_THAT(answer("GET / HTTP/1.1"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(answer("POST /metrics HTTP/1.1"), StartsWith("HTTP/1.1 405 "));
}

}  // namespace
}  // namespace penstock
