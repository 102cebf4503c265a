// How near do the kernels come to what this machine can do? Prints rows as JSON.

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "bench/kernels/machine_ceilings.h"
#include "bench/kernels/moe_case.h"
#include "bench/kernels/onednn_moe.h"
#include "bench/kernels/op_cases.h"
#include "nlohmann/json.hpp"

namespace penstock::kernels {
namespace {

struct Options {
  std::string op = "moe_ffn";
  std::vector<std::string> formats = {"bf16", "int4:64", "int8:64", "f32"};
  std::vector<int64_t> rows = {1, 2, 4, 6, 8, 13, 20, 48, 91, 192};
  std::vector<std::string> isas = {"avx512bf16", "avx512", "avx2"};
  MoeShape shape;
  int rounds = 12;
};

struct Ceilings {
  double bytes_per_s = 0;
  std::map<std::string, double> flops_per_s;
};

void Raise(const ReadProbe& probe, const std::vector<std::string>& isas, Ceilings& ceilings) {
  ceilings.bytes_per_s = std::max(ceilings.bytes_per_s, probe.BytesPerSecond());
  for (const std::string& isa : isas) {
    double& most = ceilings.flops_per_s[isa];
    most = std::max(most, FlopsPerSecond(isa));
  }
}

const MoeFfnImpl* ImplOf(const std::string& isa) {
  for (const MoeFfnImpl& impl : MoeFfnImpls()) {
    if (impl.name == isa && impl.supported()) return &impl;
  }
  return nullptr;
}

// "int4:64" -> format and group.
bool ParseStored(const std::string& text, WeightFormat& format, int64_t& group) {
  const size_t colon = text.find(':');
  const auto parsed = ParseFormat(text.substr(0, colon));
  if (!parsed) return false;
  format = *parsed;
  group = colon == std::string::npos ? 0 : std::stoll(text.substr(colon + 1));
  return true;
}

// Entries that multiply in bfloat16 are held against its ceiling.
std::string CeilingOf(const std::string& isa, WeightFormat format) {
  const bool wide = format == WeightFormat::kF32 || format == WeightFormat::kF16;
  return isa == "avx512bf16" && wide ? "avx512" : isa;
}

// A contender that does not say how it multiplies: held against the best ceiling for its format.
void AddOneDnn(const Options& options, bool bf16, nlohmann::ordered_json& rows) {
  const std::string format = bf16 ? "bf16" : "f32";
  if (std::find(options.formats.begin(), options.formats.end(), format) == options.formats.end()) {
    return;
  }
  const MoeShape& shape = options.shape;
  const auto moe = OneDnnMoe::Create(shape.experts, shape.d, shape.f, bf16);
  if (moe == nullptr) {
    rows.push_back({{"op", "moe_ffn"}, {"format", format}, {"isa", "onednn"},
                    {"skipped", "not run here: this build has no oneDNN, or it has no such type"}});
    return;
  }
  for (const int64_t per_expert : options.rows) {
    moe->SetRows(per_expert);
    double seconds = 1e30;
    for (int round = 0; round < options.rounds; ++round) {
      const double start = Now();
      moe->Run();
      seconds = std::min(seconds, Now() - start);
    }
    rows.push_back({{"op", "moe_ffn"}, {"format", format}, {"isa", "onednn"},
                    {"rows_per_expert", per_expert}, {"seconds", seconds}});
  }
}

int RunMoe(const Options& options) {
  constexpr size_t kProbeBytes = size_t{512} << 20;
  const ReadProbe probe(kProbeBytes);
  std::vector<std::string> isas = options.isas;
  if (std::find(isas.begin(), isas.end(), "avx512") == isas.end()) isas.push_back("avx512");
  Ceilings ceilings;
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::string& stored : options.formats) {
    WeightFormat format = WeightFormat::kF32;
    int64_t group = 0;
    if (!ParseStored(stored, format, group) ||
        !CheckGroup(format, options.shape.d, group).ok() ||
        !CheckGroup(format, options.shape.f, group).ok()) {
      std::fprintf(stderr, "error: --formats: no format '%s' of these sizes\n", stored.c_str());
      return 2;
    }
    MoeCase moe(options.shape, format, group);
    for (const std::string& isa : options.isas) {
      const MoeFfnImpl* impl = ImplOf(isa);
      if (impl == nullptr) {
        rows.push_back({{"op", "moe_ffn"}, {"format", stored}, {"isa", isa},
                        {"skipped", "not run here: this CPU lacks it"}});
        continue;
      }
      const double error = moe.Error(*impl);
      for (const int64_t per_expert : options.rows) {
        moe.SetRows(per_expert);
        double seconds = 1e30;
        for (int round = 0; round < options.rounds; ++round) {
          if (round % 4 == 0) Raise(probe, isas, ceilings);
          const double start = Now();
          const Status status = moe.Run(*impl);
          const double took = Now() - start;
          if (!status.ok()) {
            std::fprintf(stderr, "error: %s\n", status.message);
            return 1;
          }
          seconds = std::min(seconds, took);
        }
        rows.push_back({{"op", "moe_ffn"},
                        {"format", stored},
                        {"isa", isa},
                        {"ceiling_isa", CeilingOf(isa, format)},
                        {"rows_per_expert", per_expert},
                        {"seconds", seconds},
                        {"bytes", moe.bytes()},
                        {"flops", moe.flops()},
                        {"relative_error", error}});
        std::fprintf(stderr, "%s %s %ld rows\n", stored.c_str(), isa.c_str(),
                     static_cast<long>(per_expert));
      }
    }
  }
  for (const bool bf16 : {true, false}) AddOneDnn(options, bf16, rows);
  // Held against the best that the whole run saw of the machine.
  for (auto& row : rows) {
    if (!row.contains("ceiling_isa")) continue;
    const double peak = ceilings.flops_per_s[row["ceiling_isa"].get<std::string>()];
    const double floor = std::max(row["bytes"].get<double>() / ceilings.bytes_per_s,
                                  row["flops"].get<double>() / peak);
    row["floor_over_time"] = floor / row["seconds"].get<double>();
    // Of bfloat16 weights: two operations a row and weight of two bytes.
    row["rows_over_ridge"] = row["rows_per_expert"].get<double>() * ceilings.bytes_per_s / peak;
  }
  const nlohmann::ordered_json report = {
      {"experts", options.shape.experts}, {"d", options.shape.d}, {"f", options.shape.f},
      {"gb_per_s", ceilings.bytes_per_s / 1e9}, {"flops_per_s", ceilings.flops_per_s},
      {"rows", rows}};
  std::printf("%s\n", report.dump(1).c_str());
  return 0;
}

int Run(const Options& options) {
  if (options.op == "moe_ffn") return RunMoe(options);
  const OpOptions op_options = {options.isas, options.rounds};
  const nlohmann::ordered_json report = {
      {"rows", options.op == "linear_attention" ? LinearAttentionRows(op_options)
               : options.op == "route_topk"     ? RouteTopKRows(op_options)
                                                : SparseDownRows(op_options)}};
  std::printf("%s\n", report.dump(1).c_str());
  return 0;
}

}  // namespace
}  // namespace penstock::kernels

int main(int argc, char** argv) {
  using penstock::kernels::Options;
  Options options;
  CLI::App app("How near do the kernels come to what this machine can do? One core.");
  app.add_option("--op", options.op, "What to measure")
      ->check(CLI::IsMember({"moe_ffn", "linear_attention", "route_topk", "sparse_down"}))
      ->capture_default_str();
  app.add_option("--formats", options.formats, "Weight formats, FORMAT or FORMAT:GROUP")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--rows", options.rows, "Rows an expert")->delimiter(',')->capture_default_str();
  app.add_option("--isas", options.isas, "Instruction sets")->delimiter(',')->capture_default_str();
  app.add_option("--experts", options.shape.experts, "Experts")->capture_default_str();
  app.add_option("--d", options.shape.d, "Hidden size")->capture_default_str();
  app.add_option("--f", options.shape.f, "Intermediate size")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Runs of each case; the best counts")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return penstock::kernels::Run(options);
}
