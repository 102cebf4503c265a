#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/temp_dir.h"

namespace penstock {

// A certificate authority of the test's own, and what it signs: NAME.pem and NAME.key for each
// name, ca.pem for the authority.
class Certificates {
 public:
  Certificates() {
    Run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca "
        "-keyout ca.key -out ca.pem");
    Sign("server", "DNS:localhost,IP:127.0.0.1");
    Sign("gateway-1", "DNS:gateway-1");
    Sign("stranger", "DNS:stranger");
  }
  std::string File(const std::string& name) const { return dir_.File(name); }
  std::string Read(const std::string& name) const { return dir_.Read(name); }
  // As who renews certificates does: a reader sees the old file or the new one.
  void Replace(const std::string& name, const std::string& text) const {
    std::filesystem::rename(dir_.Write(name + ".next", text), File(name));
  }

 private:
  void Sign(const std::string& name, const std::string& names) {
    dir_.Write(name + ".ext", "subjectAltName=" + names + "\n");
    Run("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" + name +
        " -keyout " + name + ".key -out " + name + ".csr");
    Run("x509 -req -in " + name +
        ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile " + name + ".ext -out " +
        name + ".pem");
  }
  void Run(const std::string& arguments) {
    const std::string command =
        "cd " + dir_.path() + " && openssl " + arguments + " >openssl.log 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << command << "\n" << dir_.Read("openssl.log");
  }

  const TempDir dir_;
};

}  // namespace penstock
