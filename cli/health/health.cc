#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <string>

#include "cli/client/request_options.h"
#include "cli/command.h"
#include "cli/health/health_check.h"
#include "common/status_macros.h"

namespace penstock::cli {
namespace {

struct HealthOptions {
  HealthQuestion question;
  bool no_verify = false;
  double timeout_s = 1;
};

absl::Status RunHealth(HealthOptions options) {
  options.question.verify = !options.no_verify;
  options.question.timeout = absl::Seconds(options.timeout_s);
  PENSTOCK_RETURN_IF_ERROR(CheckHealth(options.question));
  std::printf("SERVING\n");
  return absl::OkStatus();
}

}  // namespace

void RegisterHealth(CLI::App& app, Run& run) {
  auto options = std::make_shared<HealthOptions>();
  CLI::App& command = *app.add_subcommand(
      "health",
      "Asks a gateway, router or expert service, or any gRPC server, whether it serves, by\n"
      "grpc.health.v1. Ends with 0 where it does, with 1 where it says that it does not, with 2 where\n"
      "it says nothing (unreachable, another certificate, no such service): for probes where the\n"
      "kubelet's own, which speak no TLS, cannot ask.\n\n"
      "  penstock health 127.0.0.1:8101\n"
      "  penstock health router.example:8101 --ca ca.crt --cert tls.crt --key tls.key\n"
      "  penstock health 127.0.0.1:8101 --no_verify --cert tls.crt --key tls.key");
  command.add_option("ADDRESS", options->question.address, "HOST:PORT or unix:PATH")->required();
  command.add_option("--service", options->question.service,
                     "which service of it; unset: the whole server");
  AddTlsOptions(command, options->question.tls);
  command.add_flag("--no_verify", options->no_verify,
                   "TLS, whatever certificate the server shows: for a port of this machine");
  command.add_option("--timeout_s", options->timeout_s, "how long it may take, seconds")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 60.0));
  command.callback([options, &run] { run = [options] { return RunHealth(*options); }; });
}

}  // namespace penstock::cli
