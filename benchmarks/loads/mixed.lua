local common = require("common")
request = common.mixed
done = common.done
