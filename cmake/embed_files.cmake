# cmake -DOUT=FILE.cc -DNAMESPACE=NS -DHEADER=PATH -DFILES=a.html,b.js -P embed_files.cmake
#   Writes a source with the files' bytes: `absl::Span<const PageAsset> PageAssets()` of HEADER.
string(REPLACE "," ";" files "${FILES}")
set(arrays "")
set(entries "")
set(index 0)
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME)
  get_filename_component(extension "${file}" EXT)
  if(extension STREQUAL ".html")
    set(type "text/html; charset=utf-8")
  elseif(extension STREQUAL ".css")
    set(type "text/css; charset=utf-8")
  elseif(extension STREQUAL ".js")
    set(type "text/javascript; charset=utf-8")
  else()
    message(FATAL_ERROR "${file}: wanted .html, .css or .js")
  endif()
  file(READ "${file}" bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char kFile${index}[] = {${bytes}};\n")
  string(APPEND entries "      {\"/${name}\", \"${type}\", Text(kFile${index}, sizeof(kFile${index}))},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUT}" "#include \"${HEADER}\"

namespace ${NAMESPACE} {
namespace {

${arrays}
absl::string_view Text(const unsigned char* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

absl::Span<const PageAsset> PageAssets() {
  static const PageAsset kAssets[] = {
${entries}  };
  return kAssets;
}

}  // namespace ${NAMESPACE}
")
