local common = require("common")
request = common.get
done = common.done
