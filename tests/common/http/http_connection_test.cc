#include "common/http/http_connection.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

namespace penstock {
namespace {

class HttpConnectionTest : public ::testing::Test {
 protected:
  HttpConnectionTest() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    client_ = ends[0];
    HttpConnection::Hooks hooks;
    hooks.on_request = [](const HttpRequest&) {};
    hooks.refuse = [](int status, absl::string_view) {
      HttpResponse response;
      response.status = status;
      return response;
    };
    connection_ =
        std::make_unique<HttpConnection>(ends[1], nullptr, HttpLimits(), now_, std::move(hooks));
  }
  ~HttpConnectionTest() override { Leave(); }

  void Send(const std::string& text) const {
    EXPECT_EQ(send(client_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  void Leave() {
    if (client_ >= 0) close(client_);
    client_ = -1;
  }
  // What the client has sent and nobody has read.
  int Unread() const {
    int bytes = -1;
    EXPECT_EQ(ioctl(connection_->socket(), FIONREAD, &bytes), 0);
    return bytes;
  }

  const absl::Time now_ = absl::UnixEpoch();
  int client_ = -1;
  std::unique_ptr<HttpConnection> connection_;
};

TEST_F(HttpConnectionTest, WhoIsRefusedForItsBodyMayStillSendIt) {
  Send("POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
  EXPECT_TRUE(connection_->Advance(now_));
  Send("hello");
  EXPECT_TRUE(connection_->Advance(now_));
  EXPECT_EQ(Unread(), 0);
  Leave();
  EXPECT_FALSE(connection_->Advance(now_));
}

TEST_F(HttpConnectionTest, WhoIsRefusedForItsMethodIsListenedToForASecond) {
  Send("DELETE /x HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(connection_->Advance(now_));
  EXPECT_EQ(connection_->until(), now_ + absl::Seconds(1));
}

TEST_F(HttpConnectionTest, WhoSendsAndSendsIsReadInTurns) {
  // Twice what is read at a time, and less than a socket holds.
  Send("nonsense\r\n\r\n" + std::string(128 * 1024, 'x'));
  EXPECT_TRUE(connection_->Advance(now_));
  EXPECT_GT(Unread(), 0);
  EXPECT_EQ(connection_->wanted(), POLLIN);
  EXPECT_TRUE(connection_->Advance(now_));
  EXPECT_EQ(Unread(), 0);
}

}  // namespace
}  // namespace penstock
