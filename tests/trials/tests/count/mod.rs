//! The count of the two servers that print one goes on past its largest value, as C's int does.

use std::fs;

use lab::programs::{self, Build, Profile, root};
use libtest_mimic::Failed;
use tempfile::TempDir;
use trials::reverts::copy;

use crate::support;

const SERVERS: [&str; 2] = ["udpserver", "udpconnectserver"];

/// One more datagram than an int can count; udpconnectserver does not count its first one.
const SCENES: &str = "
```scene one-more
server  $ udpserver
client  $ udpclient 127.0.0.1
client  < g1
client  > now sending g1
client  > send bytes: 2
client  > Hi, g1
server  > received 2 bytes: g1
client  ^D
client  = 0
server  ^C
server  > received -2147483648 datagrams
server  = 0
```

```scene one-more-connected
server  $ udpconnectserver
client  $ udpconnectclient 127.0.0.1
client  < g1
client  > now sending g1
client  > send bytes: 2
client  > Hi, g1
client  < g2
client  > now sending g2
client  > send bytes: 2
client  > Hi, g2
server  > received 2 bytes: g1
server  > send bytes: 6
server  > send bytes: 6
client  ^D
client  = 0
server  ^C
server  > received -2147483648 datagrams
server  = 0
```
";

pub fn a_count_past_its_largest_value_goes_on() -> Result<(), Failed> {
    let (workspace, folders) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    copy(root(), workspace.path()).unwrap();
    for name in SERVERS {
        let source = workspace.path().join(programs::find(name).unwrap().source());
        let text = fs::read_to_string(&source).unwrap();
        assert_eq!(text.matches("count.store(0, Relaxed);").count(), 1, "{name}");
        fs::write(source, text.replace("count.store(0, Relaxed);", "count.store(c_int::MAX, Relaxed);")).unwrap();
    }
    let build = Build { root: workspace.path(), profile: Profile::Dev, asan: false, quiet: true };
    let servers = build.run(&SERVERS).unwrap();
    let others = programs::build(&["udpclient", "udpconnectclient", "lab"], Profile::Dev).unwrap();
    let (mut programs, folder) = (others.clone(), folders.path().join("ports"));
    programs.extend(servers);
    support::collect(&programs, &folder);
    let scenes = folders.path().join("scenes.md");
    fs::write(&scenes, SCENES).unwrap();
    let (lab, scenes) = (others["lab"].to_string_lossy(), scenes.to_string_lossy());
    support::run(&lab, &["replay", &scenes, "--pause", "0"], &[&folder])
}
