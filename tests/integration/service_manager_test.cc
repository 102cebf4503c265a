// What a service tells whoever started it, and what it exports about itself.

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/client/metrics_scrape.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/process.h"
#include "tests/integration/test_models.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Listens where NOTIFY_SOCKET says, which processes that are started meanwhile inherit.
class Manager {
 public:
  Manager() : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::string path = folder_.File("notify");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0)
        << std::strerror(errno);
    const timeval patience{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~Manager() {
    unsetenv("NOTIFY_SOCKET");
    close(fd_);
  }
  // Waits for the next message.
  std::string Next() const {
    char text[256];
    const ssize_t size = recv(fd_, text, sizeof(text), 0);
    return size < 0 ? "nothing" : std::string(text, static_cast<size_t>(size));
  }

 private:
  const TempDir folder_;
  const int fd_;
};

class ServiceManagerIntegrationTest : public testing::Test {
 protected:
  ServiceManagerIntegrationTest() { WriteTinyModel(models_, "tiny"); }
  std::string Expert(const std::string& tls = "") const {
    return absl::StrCat("server: {grpc: \"127.0.0.1:0\", metrics: \"127.0.0.1:0\", ",
                        "drain: {grace: 0s}", tls, "}\nmodel_repository: ", models_.path(),
                        "\nexecution: {threads: 1, warm_up_runs: 1}\n");
  }

  const TempDir models_;
};

TEST_F(ServiceManagerIntegrationTest, HearsOfReadinessAReloadAndTheDrain) {
  const Manager manager;
  const auto expert = Process::Start("penstock-expert", Expert());
  ASSERT_NE(expert, nullptr);
  EXPECT_EQ(manager.Next(), "READY=1");
  expert->Hangup();
  EXPECT_THAT(manager.Next(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_EQ(manager.Next(), "READY=1");
  expert->Terminate();
  EXPECT_EQ(manager.Next(), "STOPPING=1");
  EXPECT_EQ(expert->Wait(), 0);
}

TEST_F(ServiceManagerIntegrationTest, HearsOfAPlatformInOneProcessToo) {
  const Manager manager;
  const auto platform =
      Process::Start("penstock",
                     absl::StrCat("expert: {", "server: {grpc: \"127.0.0.1:0\", metrics: \"off\", ",
                                  "drain: {grace: 0s}}, model_repository: ", models_.path(), "}\n"),
                     {"serve", "--roles", "expert"});
  ASSERT_NE(platform, nullptr);
  EXPECT_EQ(manager.Next(), "READY=1");
  EXPECT_EQ(platform->Stop(), 0);
  EXPECT_EQ(manager.Next(), "STOPPING=1");
}

// A certificate that lasts so long, and its key, as NAME.pem and NAME.key.
void WriteCertificate(const TempDir& folder, const std::string& name, int days) {
  std::string output;
  const std::string key = folder.File(name + ".key"), file = folder.File(name + ".pem");
  const std::vector<std::string> command = {"openssl",
                                            "req",
                                            "-x509",
                                            "-newkey",
                                            "ec",
                                            "-pkeyopt",
                                            "ec_paramgen_curve:prime256v1",
                                            "-nodes",
                                            "-subj",
                                            "/CN=x",
                                            "-days",
                                            absl::StrCat(days),
                                            "-keyout",
                                            key,
                                            "-out",
                                            file};
  ASSERT_EQ(RunCommand(command, output), 0) << output;
}

TEST_F(ServiceManagerIntegrationTest, ExportsItsVersionAndWhenItsCertificateEnds) {
  const TempDir folder;
  ASSERT_NO_FATAL_FAILURE(WriteCertificate(folder, "a", 10));
  const auto expert = Process::Start(
      "penstock-expert", Expert(absl::StrCat(", tls: {certificate_file: ", folder.File("a.pem"),
                                             ", key_file: ", folder.File("a.key"), "}")));
  ASSERT_NE(expert, nullptr);
  const auto text = cli::ScrapeMetrics(expert->metrics());
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr("penstock_build_info{service=\"expert\",version=\""));
  const double expiry = cli::SumOfMetric(*text, "penstock_certificate_expiry_timestamp_seconds");
  EXPECT_NEAR(expiry, static_cast<double>(absl::ToUnixSeconds(absl::Now())) + 10 * 86400, 3600);
}

}  // namespace
}  // namespace penstock
