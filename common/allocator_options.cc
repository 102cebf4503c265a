// What jemalloc reads when a process starts; the variable MALLOC_CONF goes before it. Several arenas a core,
// its default, would each keep freed memory of their own: a process that runs for days is to stay as small as
// it was after its first minutes. So a core has one, and what is free for a second goes back to Linux.
extern "C" const char* malloc_conf;
const char* malloc_conf = "percpu_arena:percpu,dirty_decay_ms:1000,muzzy_decay_ms:0";
