#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "common/net/grpc_status.h"
#include "common/net/service_main.h"

namespace {

constexpr char kDescription[] =
    "Routes inference requests to the expert that answers best within latency and energy budgets.\n\n"
    "  penstock serve --config platform.yaml       gateway, router and experts in one process\n"
    "  penstock infer --pool digits --input image=@images.f32#0\n"
    "  penstock status                             what is asked, and what it costs\n\n"
    "Each command has its own --help.";

}  // namespace

int main(int argc, char** argv) {
  penstock::InitProcess("penstock");
  CLI::App app(kDescription, "penstock");
  app.set_version_flag("--version", "penstock " PENSTOCK_VERSION);
  // At least one too, but said after parsing: CLI11 would say so of a command that is misspelt.
  app.require_subcommand(0, 1);
  penstock::cli::Run run;
  for (const penstock::cli::RegisterCommand command :
       {penstock::cli::RegisterServe, penstock::cli::RegisterTrain, penstock::cli::RegisterReplay,
        penstock::cli::RegisterLog, penstock::cli::RegisterPlan, penstock::cli::RegisterQuantize, penstock::cli::RegisterImport,
        penstock::cli::RegisterKernels, penstock::cli::RegisterInfer,
        penstock::cli::RegisterLoad, penstock::cli::RegisterExplain, penstock::cli::RegisterStatus, penstock::cli::RegisterHealth, penstock::cli::RegisterBudget,
        penstock::cli::RegisterReport, penstock::cli::RegisterShadow, penstock::cli::RegisterPromote,
        penstock::cli::RegisterEvaluate}) {
    command(app, run);
  }
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) throw CLI::RequiredError("A command");
  } catch (const CLI::ParseError& error) {
    // 0 after --help.
    return app.exit(error) == 0 ? 0 : penstock::cli::kExitUsage;
  }
  const absl::Status status = run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "error: %s: %s\n",
               std::string(penstock::StatusCodeName(status.code())).c_str(),
               std::string(status.message()).c_str());
  return penstock::cli::ExitCodeOf(status);
}
