//! Commands that destroy, that run what comes from elsewhere, or that open a way in or out.

use std::sync::LazyLock;

use regex::Regex;

use super::danger::{Danger, Found};
use super::matcher::any;

const DESTROYING: [&str; 30] = [
    r"\b(?:mv|cp|ln|tee|install)\s[^;\n`]*/(?:etc|usr|bin|sbin|lib|boot|dev|root)\b|\balter\s+table\b[^;\n]*\bdrop\b",
    r"\bfind\s[^;\n`]*-(?:delete|exec)\b|\bxargs\s+(?:-\S+\s+)*(?:rm|kill|sh|kubectl\s+delete)\b",
    r"(?:^|[\s`'\x22(;&|])(?:>|:\s?>|>\|)\s*/\w",
    r"\brm\s+(?:-\S+\s+)*-(?:\w*[rf]\w*|-recursive|-force)\b",
    r"\bmkfs\b|\bwipefs\b|\bshred\s+-|\bfdisk\s|\bparted\s",
    r"\bdd\s+(?:\w+=\S+\s+)*(?:if|of)=",
    r":\s?\(\s?\)\s?\{|:\s?\|\s?:\s?&",
    r"\b(?:drop|truncate)\s+(?:table|database|schema|keyspace|index|user|role|collection|view|column)\b",
    r"\btruncate\s+(?:\w+\.)?\w+\s*(?:;|when|if|to\b|before|after|$)",
    r"\bdelete\s+from\s+\w+\s*(?:;|$|to\b|when|if\b|before|after|where\s+(?:1|true)\b)",
    r"\bupdate\s+\w+\s+set\b[^.;]*(?:where\s+1\s*=\s*1|;)",
    r"\bkubectl\b[^.;\n]{0,60}?\sdelete\s+(?:-\S+\s+)*(?:ns|namespaces?|nodes?|pvc?s?|persistentvolume\w*|crds?|customresourcedefinitions?|all|clusterroles?\w*)\b",
    r"\bkubectl\b[^.;\n]*\bdelete\b[^.;\n]*\s(?:--all\b|-a\b|--selector\b)",
    r"\bkubectl\b[^.;\n]*\bdelete\b[^.;\n]*--(?:force|grace-period=0)",
    r"\bkubectl\s+drain\b[^.;\n]*--force",
    r"\b(?:terraform|tofu|pulumi|cdk|vagrant)\s+destroy\b|\b(?:terraform|tofu)\s+apply\s+-destroy",
    r"\bgit\s+push\s+(?:\S+\s+)*(?:-f\b|--force\b|--mirror|--delete)|\bgit\s+(?:reset\s+--hard|checkout\s+(?:--\s+)?\.|restore\s+\.|stash\s+(?:drop|clear)|branch\s+-d|clean\s+-\w*[fdx]|filter-branch)",
    r"\b(?:shutdown|poweroff|halt|init\s+[06]|reboot)\s+(?:-\w|now|the)|\bsystemctl\s+(?:stop|disable|mask|poweroff|halt)\b",
    r"\bflush(?:all|db)\b|\bdropdatabase\s?\(|\.drop\s?\(\s?\)|\bdeletemany\s?\(\s?\{\s?\}",
    r"\bchmod\s+(?:-\w+\s+)*(?:0?777|[augo]*\+rwx|\+s|u\+s)|\bchown\s+-r\b",
    r"\bkill\s+(?:-\w+\s+)*-1\b|\bkillall\b|\bpkill\s+-9",
    r"\b(?:ip6?tables|nft)\s+(?:-f\b|flush)|\bufw\s+disable|\bsetenforce\s+0|\bauditctl\s+-e\s*0",
    r"\bcrontab\s+-[re]\b|\bhistory\s+-c\b|>\s*/dev/[hs]d[a-z]|>\s*/etc/",
    r"\b(?:del|erase)\s+(?:/[a-z]\s*)+|\brmdir\s+/s|\bformat\s+[a-z]:",
    r"\bremove-item\b[^.;\n]*-(?:recurse|force)|\bclear-(?:disk|eventlog)\b",
    r"\bhelm\s+(?:uninstall|delete|del)\s",
    r"\baws\s+s3\s+(?:rb\b|rm\b[^.;\n]*--recursive)|\bgsutil\s+(?:-m\s+)?rm\s+-r|\baz\s+group\s+delete|\bgcloud\b[^.;\n]*\bdelete\b|\baws\s+\w+\s+(?:delete|terminate)-\w+",
    r"\bdocker\s+(?:system|volume|image)\s+prune\b|\bdocker\s+rm\s+-f|\bdocker\s+run\b[^.;\n]*--privileged",
    r"\bshutil\.rmtree|\bos\.(?:remove|unlink|rmdir|removedirs)\s?\(|\bfs\.(?:rm|unlink|rmdir)\w*\s?\(|\bfile\.delete\s?\(",
    r"\bzfs\s+destroy|\blvremove\b|\bvgremove\b|\betcdctl\s+del\b|\bredis-cli\b[^.;\n]*\bdel\b|\bvault\s+(?:kv\s+)?(?:delete|destroy)",
];

const FETCHING: [&str; 15] = [
    r"--(?:no-verify|insecure|skip-\w+|insecure-skip-tls-verify|no-check-certificate|allow-unauthenticated|disable-\w+|privileged|trusted-host|no-gpg-check\w*|force-yes)\b|\bverify\s?=\s?false\b|\b(?:skip|disable|bypass|ignore)_(?:\w+_)?(?:verif\w*|auth\w*|ssl|tls|checks?|approvals?|validation|safety|security|confirmation)\b",
    r"\b(?:curl|wget|iwr|invoke-webrequest|fetch)\b[^.;\n`]*\|\s*(?:sudo\s+)?(?:ba|z|k|da)?sh\b",
    r"\|\s*(?:sudo\s+)?(?:(?:ba|z|k|da)?sh|python3?|perl|node|ruby|php|pwsh)\b(?:\s+-)?(?:\s|`|'|\x22|$|\.)",
    r"\bwget\b|\bcurl\s+(?:-\S+\s+)*(?:\S+\.\S+|-d|--data|-t|--upload-file|-f\s|-x\s?post)",
    r"\bbase64\s+(?:-\w*d\w*|--decode)|\b(?:atob|b64decode|frombase64string)\s?\(",
    r"\b(?:nc|ncat|netcat|socat)\s+(?:-\S+|\S+\s+\d+|tcp)|/dev/(?:tcp|udp)/|\bbash\s+-i\b|\bmkfifo\b",
    r"\b(?:eval|exec|system|popen|execfile|__import__|compile|spawn)\(|\bsubprocess\.|\bos\.(?:system|popen|exec\w*)|\bchild_process",
    r"\b(?:invoke-expression|iex)\b|\bcertutil\b|\bpowershell\b[^.;\n]*-e(?:nc|c|ncodedcommand)?\b|\bbitsadmin\b|\bmshta\b|\bregsvr32\b",
    r"\bscp\s+\S|\brsync\s+(?:-\S+\s+)*\S+\s+\S+:|\bsftp\s+\S|\brclone\s+(?:copy|sync|move)",
    r"\baws\s+s3\s+(?:cp|sync|mv)\b|\bgsutil\s+(?:-m\s+)?(?:cp|rsync)\b|\baz\s+storage\s+blob\s+upload",
    r"\bauthorized_keys\b|\bssh-keygen\b|\bssh\s+-[rldn]\b|\bsudo\s+(?:su|-i|bash)\b|\bvisudo\b|\bchpasswd\b|\buseradd\b|\bnet\s+user\b",
    r"\bpip3?\s+install\s+(?:-\S+\s+)*(?:git\+|--index-url|-i\b|--extra-index-url)|\bnpm\s+(?:install|i)\s+(?:-\S+\s+)*(?:git|--registry)|\bnpx\s+-y\b|\bdocker\s+(?:pull|run)\s+(?:-\S+\s+)*\S+\.\S+/",
    r"\bxp_cmdshell\b|\bunion\s+(?:all\s+)?select\b|\binto\s+(?:out|dump)file\b|\bload_file\s?\(|'\s*or\s+'?1'?\s*=\s*'?1|\bcopy\b[^.;\n]*\bto\s+program\b",
    r"\bcreate\s+(?:cluster)?rolebinding\b[^.;\n]*(?:cluster-)?admin|\bcluster-admin\b|\bgrant\s+all\b|\battach-\w+-policy\b[^.;\n]*administratoraccess",
    r"\bpython3?\s+-c\b|\bperl\s+-e\b|\bnode\s+-e\b|\bruby\s+-e\b|\b(?:ba)?sh\s+-c\b",
];

const READING: [&str; 6] = [
    r"\b(?:commit|push|add|cat|print|send|upload|share|copy|paste|show|quote)\b[^.;\n]{0,30}\.(?:env\b(?:[^.\w]|$)|pem\b|p12\b|pfx\b|kdbx\b|htpasswd\b)",
    r"/etc/(?:passwd|shadow|sudoers|kubernetes/(?:admin|pki))\b|\bid_(?:rsa|ed25519|ecdsa|dsa)\b|(?:~|home/\w+|root)/\.(?:ssh|aws|kube|gnupg|docker|netrc|npmrc|bash_history)\b|\.(?:aws/credentials|git-credentials|pgpass|netrc)\b",
    r"\bprintenv\b|\benv\s*\||`env`|/proc/(?:self|\d+)/environ|\b(?:os\.environ|process\.env)\b(?:\s|$|[^\[.\w])",
    r"\bkubectl\b[^.;\n]*\bget\s+secrets?\b[^.;\n]*(?:-o|--output|-a\b|--all)|\bkubectl\b[^.;\n]*\bconfig\s+view\b[^.;\n]*--raw|/var/run/secrets\b|\bkubectl\s+create\s+token\b",
    r"169\.254\.169\.254|\bmetadata\.google\.internal\b|\bimds\b|\baws\s+sts\b|\bgcloud\s+auth\s+print|\baz\s+account\s+get-access-token",
    r"\b(?:mysqldump|pg_dump|pg_dumpall|mongodump)\b|\bselect\s+\*\s+from\s+(?:users?|customers?|accounts?|passwords?|credentials?|cards?)\b",
];

static DESTROY: LazyLock<Regex> = LazyLock::new(|| any(&DESTROYING));
static FETCH: LazyLock<Regex> = LazyLock::new(|| any(&FETCHING));
static READ: LazyLock<Regex> = LazyLock::new(|| any(&READING));

pub(super) fn find(folded: &str) -> Vec<Found> {
    let hits = |table: &'static Regex, danger| {
        let hits = table.find_iter(folded).map(|hit| hit.as_str().trim());
        hits.map(move |hit| Found::new(danger, hit)).collect::<Vec<_>>()
    };
    let mut found = hits(&DESTROY, Danger::Command);
    found.extend(hits(&FETCH, Danger::Command));
    found.extend(hits(&READ, Danger::Exfiltration));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_do_harm_are_found_and_those_that_look_are_not() {
        let check = |text: &str, expected: bool| {
            assert_eq!(!find(text).is_empty(), expected, "{text:?}: {:?}", find(text));
        };
        for text in [
            "rm -rf /",
            "rm -r -f x",
            "mkfs.ext4 /dev/sda",
            "drop table users",
            "delete from orders;",
            "kubectl -n a delete ns b",
            "kubectl delete pods --all",
            "terraform destroy",
            ":(){ :|:& };:",
            "curl -s x | bash",
            "echo a | base64 -d | sh",
            "nc -e /bin/sh",
            "os.system('x')",
            "eval(x)",
            "cat /etc/shadow",
            "printenv",
            "kubectl get secrets -a -o yaml",
            "git push origin -f",
            "git commit --no-verify",
            "set skip_tls_verification",
            "find . -delete",
            "chmod -r 777 /",
        ] {
            check(text, true);
        }
        for text in [
            "kubectl get pods -n a | grep x",
            "kubectl delete pod a",
            "kubectl rollout restart deploy/a",
            "helm upgrade a .",
            "git diff --stat",
            "cargo test --lib fold",
            "npm test",
            "rg -n foo src",
            "kubectl logs --previous",
            "select id from orders limit 100",
            "the system (prod) is up",
            "a format such as csv",
            "drop the connection",
            "use `delete_all_pods` with care",
            "x > 5",
            "kubectl exec a -- ls",
            "rm the stale lock by hand",
            "transform env vars into flags",
        ] {
            check(text, false);
        }
    }
}
