#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/output/table.h"
#include "kernels/catalogue/catalogue.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using kernels::CatalogueEntry;
using kernels::CatalogueOp;
using kernels::Isa;

constexpr Isa kIsas[] = {Isa::kReference, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16, Isa::kCuda};

struct KernelsOptions {
  std::string force;
  bool json = false;
};

// "-": the op has no such entry; "no": it has, and this machine does not.
std::string Cell(const CatalogueOp& op, Isa isa) {
  for (const CatalogueEntry& entry : op.entries) {
    if (entry.isa != isa) continue;
    return !entry.supported ? "no" : entry.chosen ? "RUNS" : "yes";
  }
  return "-";
}

std::string Text(const std::vector<CatalogueOp>& ops) {
  std::vector<std::string> header = {"op"};
  for (const Isa isa : kIsas) header.emplace_back(kernels::IsaName(isa));
  Table table(header);
  for (const CatalogueOp& op : ops) {
    std::vector<std::string> row = {std::string(op.name)};
    for (const Isa isa : kIsas) row.push_back(Cell(op, isa));
    table.AddRow(row);
  }
  return absl::StrCat(table.ToString(),
                      "\nRUNS: what a call runs here. yes: this machine could. no: this machine or "
                      "build cannot. -: the op has none.\n");
}

std::string Json(const std::vector<CatalogueOp>& ops) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const CatalogueOp& op : ops) {
    nlohmann::ordered_json entries = nlohmann::ordered_json::array();
    for (const CatalogueEntry& entry : op.entries) {
      entries.push_back({{"isa", kernels::IsaName(entry.isa)},
                         {"supported", entry.supported},
                         {"runs", entry.chosen}});
    }
    all.push_back({{"op", op.name}, {"entries", entries}});
  }
  return all.dump(1) + "\n";
}

absl::Status RunKernels(const KernelsOptions& options) {
  if (const kernels::Status status = kernels::ForceIsa(options.force); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--force: ", status.message));
  }
  const std::vector<CatalogueOp> ops = kernels::Catalogue();
  std::printf("%s", options.json ? Json(ops).c_str() : Text(ops).c_str());
  return absl::OkStatus();
}

}  // namespace

void RegisterKernels(CLI::App& app, Run& run) {
  auto options = std::make_shared<KernelsOptions>();
  CLI::App& command =
      *app.add_subcommand("kernels", "Lists the kernels of the expert service and what runs here");
  command.add_option("--force", options->force,
                     "as if this were the best there is: reference, avx2, avx512, avx512bf16 or "
                     "cuda");
  command.add_flag("--json", options->json, "print JSON");
  command.callback([options, &run] { run = [options] { return RunKernels(*options); }; });
}

}  // namespace penstock::cli
