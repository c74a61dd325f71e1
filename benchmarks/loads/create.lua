local common = require("common")
request = common.create
done = common.done
